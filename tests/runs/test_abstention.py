"""A run that promises a risk: the threshold and the temperature travel with the model, and predicting obeys them."""

import csv
import json
import random

import numpy as np
import pytest
from conftest import QUICK_FLAGS, WORDS, review_rows, write_csv

import headstart
from headstart.cli.main import run_guarded
from headstart.errors import UserError

RISK = 0.25


def unclear(rows, seed, share=0.3):
    """Rows of which a share lacks the words that tell its label: there the model can but guess."""
    rng = random.Random(seed)
    telling = {word for words in WORDS.values() for word in words}
    return [(" ".join(word for word in text.split() if word not in telling), rng.choice(list(WORDS)))
            if rng.random() < share else (text, label) for text, label in rows]


@pytest.fixture(scope="module")
def careful_run(tiny_bert, tmp_path_factory):
    """A finished run that promises a risk of 25 %, and its folder of files."""
    folder = tmp_path_factory.mktemp("careful")
    for name, count, seed in (("train", 240, 0), ("dev", 120, 1), ("test", 120, 2)):
        write_csv(folder / f"{name}.csv", unclear(review_rows(count, seed), seed))
    code = run_guarded(["finetune", str(folder / "train.csv"), "--dev", str(folder / "dev.csv"), "--test",
                        str(folder / "test.csv"), "--model", str(tiny_bert), "--to", str(folder / "run"), "--quiet",
                        "--method", "plain", "--set", "training.label_smoothing=0.3", "--epochs", "6", "--batch-size",
                        "16", "--learning-rate", "3e-3",
                        "--risk", str(RISK), "--set", "evaluation.resamples=50", "--set", "evaluation.baselines=false",
                        "--set", "evaluation.explained_errors=0"])
    assert code == 0
    return folder / "run", folder


def scores_of(run):
    return json.loads((run / "scores.json").read_text(encoding="utf-8"))


def test_the_run_says_what_it_promises_and_whether_test_keeps_it(careful_run):
    run, _ = careful_run
    scores = scores_of(run)
    learned, test = scores["learned"]["abstention"], scores["test"]
    assert learned["risk"] == RISK and learned["risk_bound"] <= RISK and learned["rows"] == 120
    rows = [json.loads(line) for line in (run / "predictions.jsonl").read_text(encoding="utf-8").splitlines()]
    answers = [row for row in rows if row["split"] == "test" and row["probability"] >= learned["threshold"]]
    wrong = [row for row in answers if row["prediction"] != row["gold"]]
    assert test["coverage"]["value"] == pytest.approx(len(answers) / 120)
    assert test["selective_risk"]["value"] == pytest.approx(len(wrong) / len(answers))
    assert test["selective_risk"]["low"] <= test["selective_risk"]["value"] < test["selective_risk"]["high"]
    assert test["selective_risk"]["n"] == len(answers) and test["accuracy"]["n"] == 120
    assert "On test it answers" in (run / "report.md").read_text(encoding="utf-8")
    assert "Risk by coverage" in (run / "report.html").read_text(encoding="utf-8")


def test_scores_are_of_all_rows_whatever_is_answered(careful_run):
    run, _ = careful_run
    rows = [json.loads(line) for line in (run / "predictions.jsonl").read_text(encoding="utf-8").splitlines()]
    test = [row for row in rows if row["split"] == "test"]
    accuracy = np.mean([row["prediction"] == row["gold"] for row in test])
    assert scores_of(run)["test"]["accuracy"]["value"] == pytest.approx(accuracy)


def test_calibration_before_and_after_stands_in_scores_and_report(careful_run):
    run, _ = careful_run
    scores = scores_of(run)
    for split in ("dev", "test"):
        table = scores["tables"][split]["calibration"]
        assert table["used"] and table["temperature"] == scores["learned"]["temperature"]
        for name in ("log_loss", "calibration_error"):
            assert table[name]["after"]["value"] == pytest.approx(scores[split][name]["value"], abs=1e-9)
            assert table[name]["difference"]["value"] == pytest.approx(
                table[name]["after"]["value"] - table[name]["before"]["value"])
    assert scores["tables"]["dev"]["calibration"]["log_loss"]["difference"]["high"] < 0
    assert "before and after the temperature" in (run / "report.html").read_text(encoding="utf-8")


def test_plain_transformers_gives_the_calibrated_probabilities(careful_run):
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    run, folder = careful_run
    model = AutoModelForSequenceClassification.from_pretrained(run / "model").eval()
    tokenizer = AutoTokenizer.from_pretrained(run / "model")
    own = headstart.load(run).predict(str(folder / "test.csv"))
    with (folder / "test.csv").open(encoding="utf-8") as file:
        texts = [row["text"] for row in csv.DictReader(file)]
    for text, row in zip(texts[:20], own[:20], strict=True):
        with torch.inference_mode():
            logits = model(**tokenizer(text, return_tensors="pt")).logits[0]
        assert torch.softmax(logits, -1).tolist() == pytest.approx(list(row["probabilities"].values()), abs=1e-4)


@pytest.mark.parametrize("ending", ["csv", "jsonl", "json", "parquet", "xlsx"])
def test_files_say_where_the_model_abstained(careful_run, headstart, tmp_path, ending):
    run, folder = careful_run
    output = tmp_path / f"answers.{ending}"
    code, _, told = headstart("predict", run, folder / "test.csv", "--to", output)
    assert code == 0 and "abstained on" in told
    rows = headstart_rows(output)
    threshold = scores_of(run)["learned"]["abstention"]["threshold"]
    silent = [row for row in rows if row["abstained"] in (True, "true", "True", "1")]
    assert 0 < len(silent) < len(rows) == 120
    for row in rows:
        is_silent = row in silent
        assert (float(row["probability"]) < threshold) == is_silent
        assert (row["prediction"] in (None, "")) == is_silent
        assert (row["withheld"] in (None, "")) != is_silent
        probabilities = row["probabilities"]
        probabilities = json.loads(probabilities) if isinstance(probabilities, str) else probabilities
        assert (row["withheld"] or row["prediction"]) == max(probabilities, key=probabilities.get)


def headstart_rows(path):
    """The rows of a file as its own library reads them."""
    if path.suffix == ".csv":
        with path.open(encoding="utf-8") as file:
            return list(csv.DictReader(file))
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    if path.suffix == ".json":
        return json.loads(path.read_text(encoding="utf-8"))
    if path.suffix == ".parquet":
        import pyarrow.parquet

        return pyarrow.parquet.read_table(path).to_pylist()
    import openpyxl

    names, *rows = openpyxl.load_workbook(path).active.iter_rows(values_only=True)
    return [dict(zip(names, row, strict=True)) for row in rows]


def test_it_answers_always_when_told(careful_run, headstart, tmp_path):
    run, folder = careful_run
    assert headstart("predict", run, folder / "test.csv", "--to", tmp_path / "all.jsonl", "--no-abstain")[0] == 0
    rows = headstart_rows(tmp_path / "all.jsonl")
    assert "abstained" not in rows[0] and all(row["prediction"] for row in rows)


def test_python_abstains_and_can_be_told_to_answer(careful_run):
    run, folder = careful_run
    model = headstart.load(run)
    rows = model.predict(str(folder / "test.csv"))
    assert {row["abstained"] for row in rows} == {True, False}
    assert all((row["prediction"] is None) == row["abstained"] for row in rows)
    model.answer_always()
    assert all(row["prediction"] and "abstained" not in row for row in model.predict(str(folder / "test.csv")))
    with pytest.raises(UserError, match="always answers"):
        model.answer_always()


def test_training_data_is_made_of_answers_alone(careful_run, headstart, tmp_path):
    run, folder = careful_run
    assert headstart("predict", run, folder / "test.csv", "--to", tmp_path / "more.csv", "--as-training-data")[0] == 0
    rows = headstart_rows(tmp_path / "more.csv")
    assert len(rows) < 120 and all(row["label"] in WORDS for row in rows)


def test_evaluate_gives_the_same_coverage_and_risk(careful_run, headstart):
    run, folder = careful_run
    code, output, _ = headstart("evaluate", run, folder / "test.csv", "--json", "--set", "evaluation.resamples=20")
    scores, of_run = json.loads(output)["scores"], scores_of(run)["test"]
    assert code == 0
    for name in ("coverage", "selective_risk", "accuracy"):
        assert scores["test"][name]["value"] == pytest.approx(of_run[name]["value"], abs=1e-9)
    assert scores["tables"]["test"]["risk_coverage"]["risk"] == RISK


def test_a_file_of_predictions_is_scored_on_all_rows(careful_run, headstart, tmp_path):
    run, folder = careful_run
    headstart("predict", run, folder / "test.csv", "--to", tmp_path / "answers.csv")
    code, output, _ = headstart("evaluate", "--predictions", tmp_path / "answers.csv", folder / "test.csv", "--json",
                                "--set", "evaluation.resamples=0")
    assert code == 0
    assert json.loads(output)["scores"]["test"]["accuracy"]["value"] == pytest.approx(
        scores_of(run)["test"]["accuracy"]["value"])


# --- what cannot be promised ---


def test_a_dev_that_is_too_small_is_told_before_training(reviews, tiny_bert, headstart, tmp_path):
    code, _, told = headstart("finetune", reviews, "--dev", reviews, "--model", tiny_bert, "--to", tmp_path / "run",
                              "--risk", "0.01", *QUICK_FLAGS)
    assert code == 65 and "takes at least 299 dev rows" in told and "there are 90" in told
    assert not (tmp_path / "run" / "model").exists()


def test_rows_in_folds_that_are_too_few_are_not_told_to_be_scored_in_folds(reviews, tiny_bert, headstart, tmp_path):
    code, _, told = headstart("finetune", reviews, "--model", tiny_bert, "--to", tmp_path / "run", "--risk", "0.01",
                              "--folds", "3", *QUICK_FLAGS)
    assert code == 65 and "takes at least 299 rows" in told and "there are 90" in told
    assert "Give more rows, take a higher --risk, or leave it out." in told
    assert not (tmp_path / "run").exists()


def test_a_risk_in_per_cent_is_told_its_share(reviews, headstart, tmp_path):
    code, _, told = headstart("finetune", reviews, "--to", tmp_path / "run", "--risk", "5")
    assert code == 78 and "Did you mean risk=0.05?" in told
    code, _, told = headstart("predict", "MODEL", reviews, "--risk", "0.05")
    assert code == 2 and "evaluation.risk, which this command never reads" in told and "--set" not in told


@pytest.mark.parametrize("risk", ["0", "1", "1.5", "-0.1", "five"])
def test_a_risk_is_a_share(reviews, tiny_bert, headstart, tmp_path, risk):
    code, _, told = headstart("finetune", reviews, "--model", tiny_bert, "--to", tmp_path / "run", f"--risk={risk}")
    assert code == 78 and "evaluation.risk" in told


def test_a_task_that_always_answers_promises_no_risk(tiny_bert, headstart, tmp_path):
    rows = write_csv(tmp_path / "rated.csv", [(f"text {index} roses", index / 7) for index in range(60)],
                     ("text", "score"))
    code, _, told = headstart("finetune", rows, "--task", "regression", "--target", "score", "--model", tiny_bert,
                              "--to", tmp_path / "run", "--risk", "0.3")
    assert code == 78 and "regression always answers" in told


def test_a_risk_that_no_threshold_promises_makes_the_model_silent_and_says_so(tiny_bert, headstart, tmp_path):
    rows = unclear(review_rows(150), 0, share=1.0)
    path = write_csv(tmp_path / "noise.csv", rows)
    code, _, told = headstart("finetune", path, "--dev", path, "--test", path, "--model", tiny_bert, "--to",
                              tmp_path / "run", "--method", "plain", "--risk", "0.05", *QUICK_FLAGS)
    assert code == 0 and "no threshold promises it" in told
    test = scores_of(tmp_path / "run")["test"]
    assert test["coverage"]["value"] == 0 and test["selective_risk"]["reason"] == "no row is answered"
    code, output, told = headstart("predict", tmp_path / "run", "--value", "text=roses")
    assert code == 0 and json.loads(output)["abstained"] and json.loads(output)["withheld"] in WORDS


def test_no_temperature_where_none_is_wanted_or_none_helps(careful_run, tiny_bert, headstart, tmp_path):
    _, folder = careful_run
    code, *_ = headstart("finetune", folder / "train.csv", "--dev", folder / "dev.csv", "--test", folder / "test.csv",
                         "--model", tiny_bert, "--to", tmp_path / "run", "--method", "plain", *QUICK_FLAGS, "--set",
                         "evaluation.calibrate=false")
    scores = scores_of(tmp_path / "run")
    assert code == 0 and "temperature" not in scores["learned"] and "calibration" not in scores["tables"]["test"]
