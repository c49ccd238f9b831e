"""training.early_exit in a run: heads are trained, saved, told, and used by every command; what it does not go with is
refused.
"""

import json

import pytest
import tiny
from conftest import review_rows, write_csv

import headstart as package
from headstart import settings
from headstart.errors import UserError
from headstart.models.exits.exit_heads import EXITS_FILE

EXITING = ["--set", "training.early_exit=true"]
FLAGS = ["--epochs", "4", "--batch-size", "16", "--learning-rate", "3e-3", "--quiet", "--set", "evaluation.resamples=20",
         "--set", "evaluation.baselines=false"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("exits")


@pytest.fixture(scope="module")
def deep_bert(folder):
    return tiny.model_folder("bert", folder / "bert", num_hidden_layers=4)


@pytest.fixture(scope="module")
def rows(folder):
    return write_csv(folder / "reviews.csv", review_rows(100))


@pytest.fixture(scope="module")
def run(folder, deep_bert, rows):
    from headstart.cli.main import run_guarded

    assert run_guarded(["finetune", str(rows), "--model", str(deep_bert), "--to", str(folder / "run"), *EXITING,
                        *FLAGS]) == 0
    return folder / "run"


def json_lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_layers_speed_and_the_difference_from_full_depth_stand_beside_the_score(run):
    scores = json.loads((run / "scores.json").read_text(encoding="utf-8"))
    exits, predictions = scores["early_exit"], json_lines(run / "predictions.jsonl")
    layers = [row["layers_used"] for row in predictions if row["split"] == "test"]
    assert exits["patience"] == 2 and exits["layers"] == 4 and exits["split"] == "test"
    assert exits["layers_used"]["value"] == pytest.approx(sum(layers) / len(layers))
    assert exits["layers_used"]["low"] <= exits["layers_used"]["value"] <= exits["layers_used"]["high"]
    assert set(layers) <= {3, 4} and exits["speed"] > 0
    assert exits["scores"]["early exit"]["macro_f1"] == scores["test"]["macro_f1"]
    value = scores["test"]["macro_f1"]["value"] - exits["scores"]["full depth"]["macro_f1"]["value"]
    assert exits["difference"]["macro_f1"]["value"] == pytest.approx(value)
    assert "patience 2" in (run / "report.html").read_text(encoding="utf-8")
    assert "patience = 2" in (run / "settings.toml").read_text(encoding="utf-8")


def test_patience_is_chosen_anew_where_the_model_is_used(run, rows, headstart, tmp_path):
    answers = {}
    for patience in (1, 2, 9):
        path = tmp_path / f"{patience}.jsonl"
        assert headstart("predict", run, rows, "--to", path, "--set", f"early_exit.patience={patience}")[0] == 0
        answers[patience] = json_lines(path)
    assert min(row["layers_used"] for row in answers[1]) == 2
    assert {row["layers_used"] for row in answers[9]} == {4}
    model = package.load(run, device="cpu")
    expected = model.predict([row["text"] for row in answers[2]])
    assert [row["layers_used"] for row in answers[2]] == [row["layers_used"] for row in expected]
    code, stdout, _ = headstart("evaluate", run, rows, "--set", "early_exit.patience=1", "--to", tmp_path / "scores")
    assert code == 0 and "full depth" in stdout and "times as fast" in stdout
    scores = json.loads((tmp_path / "scores" / "scores.json").read_text(encoding="utf-8"))
    assert scores["early_exit"]["patience"] == 1 and scores["early_exit"]["layers_used"]["value"] < 4
    assert headstart("evaluate", run, rows, "--all-checkpoints")[0] == 0


def test_the_last_head_is_an_ordinary_model_of_transformers(run):
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    plain, loading = AutoModelForSequenceClassification.from_pretrained(run / "model", output_loading_info=True)
    assert not any(loading[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    text = "the old river and roses roses"
    with torch.no_grad():
        inputs = AutoTokenizer.from_pretrained(run / "model")(text, return_tensors="pt")
        expected = torch.softmax(plain.eval()(**inputs).logits[0], 0)
    model = package.load(run, device="cpu")
    model.set({"early_exit.patience": 4})
    assert list(model.predict([text])[0]["probabilities"].values()) == pytest.approx(expected.tolist(), abs=1e-5)
    assert EXITS_FILE in (run / "model" / "README.md").read_text(encoding="utf-8")
    inspection = model.inspect(text)  # states and attentions of all layers, as ever
    assert len(inspection.attentions) == 4


def test_saved_again_it_is_the_same(run, tmp_path):
    model = package.load(run, device="cpu")
    texts = [text for text, _ in review_rows(30, seed=5)]
    model.save(tmp_path / "copy")
    assert package.load(tmp_path / "copy", device="cpu").predict(texts) == model.predict(texts)
    assert (tmp_path / "copy" / EXITS_FILE).read_bytes() == (run / "model" / EXITS_FILE).read_bytes()


def test_an_interrupted_run_ends_with_the_same_bits(run, rows, deep_bert, folder, tmp_path):
    from headstart.progress import Reporter
    from headstart.runs.run import resume

    stopped = tmp_path / "run"

    class Stop(Exception):
        pass

    class Listener:
        def receive(self, event):
            if type(event).__name__ == "CheckpointSaved":
                raise Stop

    with pytest.raises(Stop):
        package.finetune(rows, model=deep_bert, to=stopped, epochs=4, batch_size=16, learning_rate=3e-3, resamples=20,
                         baselines=False, early_exit=True, reporter=Reporter(Listener()))
    resume(stopped, reporter=Reporter())
    for name in ("model.safetensors", EXITS_FILE):
        assert (stopped / "model" / name).read_bytes() == (run / "model" / name).read_bytes()


def test_numbers_have_a_threshold_in_their_own_unit(deep_bert, headstart, tmp_path):
    ratings = {"good": 90.0, "mixed": 50.0, "bad": 10.0}
    path = write_csv(tmp_path / "rows.csv", [(text, ratings[label] + index % 7 / 10) for index, (text, label)
                                             in enumerate(review_rows(90))], ("text", "target"))
    assert headstart("finetune", path, "--task", "regression", "--model", deep_bert, "--to", tmp_path / "run", *EXITING,
                     *FLAGS)[0] == 0
    exits = json.loads((tmp_path / "run" / "scores.json").read_text(encoding="utf-8"))["early_exit"]
    assert 3 < exits["threshold"] < 3.6  # a tenth of the standard deviation of the ratings
    model = package.load(tmp_path / "run", device="cpu")
    test_rows = [row for row in json_lines(tmp_path / "run" / "predictions.jsonl") if row["split"] == "test"]
    texts = [line.split(",")[0] for line in path.read_text(encoding="utf-8").splitlines()[1:]]
    again = model.predict([texts[row["row"]] for row in test_rows])
    assert [row["layers_used"] for row in again] == [row["layers_used"] for row in test_rows]
    assert [row["prediction"] for row in again] == pytest.approx([row["prediction"] for row in test_rows], abs=1e-3)
    model.set({"early_exit.threshold": 1e9, "early_exit.patience": 1})
    assert {row["layers_used"] for row in model.predict(texts[:20])} == {2}
    model.set({"early_exit.threshold": 0.0})
    assert {row["layers_used"] for row in model.predict(texts[:20])} == {4}


@pytest.mark.parametrize(("family", "message"), [("gpt2", "albert, bert, distilbert"), ("deberta-v2", "deberta-v2")])
def test_families_that_run_all_layers_at_once_are_refused(family, message, rows, headstart, tmp_path):
    model = tiny.model_folder(family, tmp_path / "model")
    code, _, stderr = headstart("finetune", rows, "--model", model, "--to", tmp_path / "run", *EXITING)
    assert code == 78 and "training.early_exit" in stderr and message in stderr


def test_tasks_without_one_answer_for_a_text_are_refused(deep_bert, headstart, tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps({"tokens": ["the", f"roses{index}"], "tags": ["O", "B-A"]}) + "\n"
                             for index in range(40)))
    code, _, stderr = headstart("finetune", path, "--task", "token-tagging", "--model", deep_bert, "--to",
                                tmp_path / "run", *EXITING)
    assert code == 78 and "token-tagging" in stderr and "text-classification" in stderr


def test_what_it_does_not_go_with_is_refused(run, rows, deep_bert, headstart, tmp_path):
    plain_model = tiny.model_folder("bert", tmp_path / "plain", "sequence-classification")
    train = ["finetune", rows, "--model", deep_bert, "--to", tmp_path / "run"]
    code, _, stderr = headstart(*train, "--set", "early_exit.patience=2")
    assert code == 78 and "training.early_exit is false" in stderr
    code, _, stderr = headstart(*train, *EXITING, "--set", "early_exit.threshold=2")
    assert code == 78 and "not numbers" in stderr
    code, _, stderr = headstart("distil", run, rows, "--to", tmp_path / "student", *EXITING)
    assert code == 78 and "training.early_exit" in stderr
    code, _, stderr = headstart("predict", plain_model, "--value", "text=roses", "--set", "early_exit.patience=2")
    assert code == 78 and "no heads after earlier layers" in stderr
    code, _, stderr = headstart("predict", run, "--value", "text=roses", "--set", "early_exit.threshold=2")
    assert code == 78 and "not numbers" in stderr
    code, _, stderr = headstart("predict", run, "--value", "text=roses", "--set", "early_exit.patience=0")
    assert code == 78 and "early_exit.patience" in stderr


def test_a_teacher_may_have_exits_and_its_student_has_none(run, rows, headstart, tmp_path):
    assert headstart("distil", run, rows, "--layers", "2", "--to", tmp_path / "student", "--epochs", "1", "--quiet",
                     "--set", "evaluation.resamples=10", "--set", "evaluation.baselines=false")[0] == 0
    assert not (tmp_path / "student" / "model" / EXITS_FILE).exists()
    assert package.load(tmp_path / "student", device="cpu").transformer.early_exit is None


def test_bare_names_are_those_of_training_unless_the_run_exits_early(rows):
    from headstart.api.keywords import name_settings

    values = {"train": str(rows), "task": "text-classification"}
    assert name_settings({"patience": 3}, values, {}) == {"training.patience": 3}
    with pytest.raises(UserError, match=r"training\.patience or early_exit\.patience"):
        name_settings({"patience": 3, "training.early_exit": True}, values, {})
    assert settings.EarlyExit().patience is None
