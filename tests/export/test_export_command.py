"""`headstart export`: a folder that predicts, is evaluated and served like the run, or words and nothing written."""

import json
import shutil
import sys
from types import SimpleNamespace

import pytest
import tiny
from conftest import write_csv

import headstart as product
from headstart.artifacts import artifact
from headstart.export import export as exporting
from headstart.export.rows import judged_rows
from headstart.prediction import onnx_runtime
from headstart.progress import Reporter
from headstart.settings import Data

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxscript")
QUICK = ("--set", "evaluation.resamples=20")


@pytest.fixture
def traced_once(exported_run, monkeypatch):
    """Tracing takes seconds, and the run's file is there already."""
    monkeypatch.setattr(exporting, "write_onnx", lambda graph, file: shutil.copyfile(
        exported_run[0] / "onnx" / "model.onnx", file))


def predictions(headstart, model, file, *flags):
    code, stdout, stderr = headstart("predict", model, file, "--to", "-", *flags)
    assert code == 0, stderr
    return stdout, stderr


def test_an_export_answers_and_scores_as_the_run(exported_run, trained_run, headstart, tmp_path):
    folder, found = exported_run
    assert found["passed"] and found["same_answers"] == 1 and found["largest_difference"] < 1e-4
    assert found["rows_from"] == "dev" and found["export"]["bytes"] == (folder / "onnx" / "model.onnx").stat().st_size
    file = tmp_path / "new.jsonl"
    file.write_text("".join(json.dumps({"text": text}) + "\n" for text in tiny.texts(40)), encoding="utf-8")
    rows = [list(map(json.loads, predictions(headstart, model, file, "--quiet")[0].splitlines()))
            for model in (folder, trained_run[0])]
    for row, expected in zip(*rows, strict=True):
        assert row["prediction"] == expected["prediction"]
        assert row["probabilities"] == pytest.approx(expected["probabilities"], abs=1e-5)
    scores = [headstart("evaluate", model, trained_run[1], "--json", *QUICK)[1] for model in (folder, trained_run[0])]
    assert json.loads(scores[0])["scores"]["test"]["macro_f1"]["value"] == \
        json.loads(scores[1])["scores"]["test"]["macro_f1"]["value"]


def test_the_folder_has_what_others_read_and_no_weights_beside(exported_run):
    folder, _ = exported_run
    assert {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} == {
        "README.md", "config.json", "headstart.json", "onnx/model.onnx", "tokenizer.json", "tokenizer_config.json"}
    config = json.loads((folder / "config.json").read_text())
    assert config["architectures"] == ["BertForSequenceClassification"] and "good" in config["id2label"].values()
    graph = onnx.load(folder / "onnx" / "model.onnx").graph
    assert [tensor.name for tensor in graph.input] == ["input_ids", "attention_mask", "token_type_ids"]
    assert [tensor.name for tensor in graph.output] == ["logits"]
    assert all(axis.dim_param for axis in graph.input[0].type.tensor_type.shape.dim)
    metadata = json.loads((folder / "headstart.json").read_text())
    assert metadata["runtime"]["file"] == "onnx/model.onnx" and metadata["golden"] and metadata["scores"]["dev"]
    card = (folder / "README.md").read_text()
    assert "Beside the original" in card and "same answers" in card and "library_name: onnx" in card


def test_an_export_is_served_with_its_golden_rows(exported_run):
    from serving.clients import serving

    with serving({"reviews": product.load(exported_run[0])}) as client:
        assert client.predict([{"text": "roses roses"}])[0]["prediction"] == "good"
        assert client.post("/v1/embeddings", {"input": "x"})[0] == 400


@pytest.mark.parametrize("precision", ["int8", "fp16"])
def test_a_smaller_export_says_its_precision_everywhere(precision, traced_once, exported_run, trained_run, headstart,
                                                        tmp_path):
    to = tmp_path / precision
    code, stdout, stderr = headstart("export", trained_run[0], "--to", to, "--precision", precision, *QUICK)
    assert code == 0, stderr
    assert f"export, {precision}" in stdout and "is ready" in stderr
    name = {"int8": "model_quantized.onnx", "fp16": "model_fp16.onnx"}[precision]
    assert [path.name for path in (to / "onnx").iterdir()] == [name]
    assert (to / "onnx" / name).stat().st_size < (exported_run[0] / "onnx" / "model.onnx").stat().st_size
    assert f"precision {precision}: the model was exported so" in predictions(headstart, to, trained_run[1])[1]
    assert "bf16 was asked for" in predictions(headstart, to, trained_run[1], "--precision", "bf16")[1]


def spoiled(full, file, precision):
    """A file whose head is turned round."""
    model = onnx.load(full)
    for tensor in model.graph.initializer:
        if "classifier" in tensor.name:
            tensor.CopyFrom(onnx.numpy_helper.from_array(-onnx.numpy_helper.to_array(tensor), tensor.name))
    onnx.save(model, file)


def test_an_export_that_scores_worse_is_not_written(traced_once, trained_run, headstart, tmp_path, monkeypatch):
    monkeypatch.setattr(exporting, "write_smaller", spoiled)
    to = tmp_path / "worse"
    code, _, stderr = headstart("export", trained_run[0], "--to", to, "--precision", "int8", *QUICK)
    assert code == 65 and "points worse; at most 0.5 points worse is allowed" in stderr
    assert "same answers" in stderr and not list(tmp_path.iterdir())
    assert headstart("export", trained_run[0], "--to", to, "--precision", "int8", "--max-drop", "100", *QUICK)[0] == 0


def test_what_stands_there_is_replaced_only_where_it_is_an_export(traced_once, exported_run, trained_run, headstart,
                                                                tmp_path):
    to = shutil.copytree(exported_run[0], tmp_path / "there")
    code, _, stderr = headstart("export", trained_run[0], "--to", to, *QUICK)
    assert code == 73 and "--overwrite" in stderr
    assert headstart("export", trained_run[0], "--to", to, "--overwrite", *QUICK)[0] == 0
    other = tmp_path / "mine"
    other.mkdir()
    (other / "letter.txt").write_text("dear")
    assert headstart("export", trained_run[0], "--to", other, "--overwrite", *QUICK)[0] == 73
    assert (other / "letter.txt").read_text() == "dear"


def test_a_run_whose_rows_are_gone_or_changed_needs_others(traced_once, trained_run, headstart, tmp_path):
    run, file = shutil.copytree(trained_run[0], tmp_path / "run"), trained_run[1]
    settings = (run / "settings.toml").read_text()
    copy = shutil.copyfile(file, tmp_path / "reviews.csv")
    (run / "settings.toml").write_text(settings.replace(str(file), str(tmp_path / "nothing.csv")))
    code, _, stderr = headstart("export", run, "--to", tmp_path / "to", *QUICK)
    assert code == 66 and "--data" in stderr
    copy.write_text(copy.read_text().replace("tea", "coffee"))
    (run / "settings.toml").write_text(settings.replace(str(file), str(copy)))
    code, _, stderr = headstart("export", run, "--to", tmp_path / "to", *QUICK)
    assert code == 65 and "no longer known" in stderr and "--data" in stderr
    code, _, stderr = headstart("export", run, "--to", tmp_path / "to", "--data", file, *QUICK)
    assert code == 0 and "macro_f1 on reviews.csv is the same" in stderr


def test_what_cannot_be_exported_is_refused_before_anything_is_written(tmp_path, headstart, exported_run, trained_run):
    rows = write_csv(tmp_path / "rows.csv", [("a", "b")], ("source", "target"))
    cases = {
        "writes token by token": tiny.model_folder("gpt2", tmp_path / "writer", "causal-language-model"),
        "every piece of the vocabulary": tiny.model_folder("bert", tmp_path / "masked", "masked-language-model"),
        "searches likely ends": tiny.model_folder("xlnet", tmp_path / "beams", "question-answering-beams"),
        "written in Python": tiny.model_folder("ctrl", tmp_path / "ctrl", "sequence-classification"),
        "exported to ONNX": exported_run[0],
    }
    for words, folder in cases.items():
        code, _, stderr = headstart("export", folder, "--to", tmp_path / "to", "--data", rows)
        assert code == 2 and words in stderr, stderr
    unfinished = shutil.copytree(trained_run[0], tmp_path / "unfinished", ignore=shutil.ignore_patterns("model"))
    assert headstart("export", unfinished, "--to", tmp_path / "to")[0] == 66
    assert headstart("export", tmp_path / "nowhere", "--to", tmp_path / "to")[0] == 66
    code, _, stderr = headstart("export", trained_run[0] / "model", "--to", tmp_path / "to")
    assert code == 2 and "--data" in stderr
    assert not (tmp_path / "to").exists()


def test_other_commands_say_that_an_export_has_no_weights(exported_run, reviews, headstart, tmp_path):
    folder = exported_run[0]
    for arguments in (("inspect", folder, "a text"), ("embed", folder, reviews, "--to", tmp_path / "v.npy"),
                      ("finetune", reviews, "--model", folder, "--to", tmp_path / "run"), ("generate", folder, "a"),
                      ("predict", folder, reviews, "--device", "cuda"),
                      ("evaluate", folder, reviews, "--all-checkpoints")):
        code, _, stderr = headstart(*arguments)
        assert code == 2 and "exported to ONNX" in stderr, stderr
    with pytest.raises(product.UserError, match="exported to ONNX"):
        product.load(folder).save(tmp_path / "saved")


def test_damaged_files_and_missing_packages_are_named(exported_run, trained_run, reviews, headstart, tmp_path,
                                                      monkeypatch):
    changed = shutil.copytree(exported_run[0], tmp_path / "changed")
    with (changed / "onnx" / "model.onnx").open("ab") as file:
        file.write(b"x")
    code, _, stderr = headstart("predict", changed, reviews)
    assert code == 69 and "model.onnx" in stderr
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(onnx.ModelProto(ir_version=1).SerializeToString())
    with pytest.raises(product.UserError, match="cannot run"):
        onnx_runtime.open_session(broken)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    for arguments in (("predict", exported_run[0], reviews), ("export", trained_run[0], "--to", tmp_path / "to")):
        code, _, stderr = headstart(*arguments)
        assert code == 69 and "pip install" in stderr


def test_a_run_scored_by_folds_is_judged_on_its_own_rows_and_says_so(tiny_bert, tmp_path):
    rows = [(text, "good" if number % 2 else "bad") for number, text in enumerate(tiny.texts(30))]
    file = write_csv(tmp_path / "few.csv", rows)
    run = str(tmp_path / "run")
    product.finetune(file, model=str(tiny_bert), to=run, folds=2, method="plain", epochs=1, baselines=False,
                     resamples=0, reporter=Reporter())
    listener = SimpleNamespace(receive=(told := []).append)
    judged = judged_rows(run, artifact.load(run)[0], None, settings=Data(), columns={}, reporter=Reporter(listener))
    assert judged.source == "train" and len(judged.examples) == 30
    assert any("no dev rows" in str(event) and "--data" in str(event) for event in told)


def test_what_was_measured_is_not_accepted_otherwise(exported_run, headstart, tmp_path):
    folder = shutil.copytree(exported_run[0], tmp_path / "there")
    metadata = (folder / "headstart.json").read_text(encoding="utf-8")
    (folder / "headstart.json").write_text(metadata.replace('"good"', '"great"'), encoding="utf-8")
    code, _, stderr = headstart("predict", folder, "tea")
    assert code == 69 and "export it again" in stderr and "headstart accept" not in stderr
    code, _, stderr = headstart("accept", folder)
    assert code == 2 and "written as it was scored" in stderr


def test_an_empty_folder_that_one_is_in_is_no_place_for_an_export(trained_run, headstart, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, _, stderr = headstart("export", trained_run[0], "--to", ".")
    assert code == 73 and "the folder that you are in" in stderr and not list(tmp_path.iterdir())
