"""Scores of two files without a model: exactly what the same predictions get where a model made them."""

import json
import random

import pytest

from headstart import tasks
from headstart.cli.main import run_guarded
from headstart.data.examples import read_examples
from headstart.data.writers import open_writer
from headstart.errors import DataError, UserError
from headstart.evaluation.evaluate import evaluate
from headstart.evaluation.score_predictions import score_predictions
from headstart.progress import Reporter
from headstart.settings import Data, Evaluation

WORDS = "tea cake rain wind boat house river stone".split()
RNG = random.Random(4)


def words(count=5):
    return " ".join(RNG.choices(WORDS, k=count))


def passage_row(number):
    passage = f"{words()} harbour {words()}"
    return {"id": f"q{number}", "question": f"Where is number {number}?", "passage": passage,
            "answer": "" if number % 3 == 0 else "harbour"}


ROWS = {  # task -> a labelled row
    "text-classification": lambda number: {"text": words(), "label": ("good", "bad", "so so")[number % 3]},
    "multilabel-classification": lambda number: {"text": words(), "labels": [WORDS[number % 4], WORDS[number % 3]]},
    "regression": lambda number: {"text": words(), "target": number / 7},
    "token-tagging": lambda number: {"tokens": ["Ann", "sees", "Rome"], "tags": ["B-PER", "O", ("B-LOC", "O")[number % 2]]},
    "question-answering": passage_row,
    "multiple-choice": lambda number: {"context": words(), "choices": [words(), words(2), words(3)], "answer": number % 3},
    "summarization": lambda number: {"source": f"{words(9)}. {words(9)}.", "target": words()},
    "text-to-text": lambda number: {"source": f"{words(9)}. {words(9)}.", "target": words()},
    "long-answer": lambda number: {"question": f"what of {words(2)}?", "answer": words(),
                                   "passages": [words(8) + ".", words(8) + "."]}}


def write_rows(path, rows):
    with open_writer(str(path), list(rows[0]), overwrite=True) as writer:
        for row in rows:
            writer.write(row)
    return str(path)


def baseline_predictions(task, examples):
    """What the task's last simple baseline predicts, and the task that learned from the examples."""
    task = task.with_learned(task.learn(examples))
    baseline = [baseline for baseline in task.baselines() if not baseline.needs_states][-1]
    return task, baseline.fit(examples, None, 0).predict(examples, None)


def score(predictions, gold, name, **options):
    defaults = {"task_settings": {}, "columns": {}, "column": None, "split": None, "settings": Data(),
                "evaluation": Evaluation(resamples=50), "seed": 3, "to": None, "reporter": Reporter()}
    return score_predictions(str(predictions), str(gold), task=name, **(defaults | options))


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
@pytest.mark.parametrize("name", ROWS)
def test_a_file_of_predictions_gets_the_scores_that_its_predictions_get(name, ending, tmp_path):
    rows = [ROWS[name](number) for number in range(30)]
    gold = write_rows(tmp_path / f"gold.{ending}", rows)
    reading = read_examples(tasks.find(name)(), gold, Data(), columns={}, training=True)
    task, predictions = baseline_predictions(tasks.find(name)(), reading.examples)
    expected = evaluate(task, reading.examples, predictions, resamples=50, seed=3).scores
    path = write_rows(tmp_path / f"predictions.{ending}",
                      [row | dict(prediction.values) for row, prediction in zip(rows, predictions, strict=True)])
    scores = score(path, gold, name)["test"]
    assert list(scores) == list(expected)
    without = [value for value in scores.values() if value["value"] is None and "no column" in value.get("reason", "")]
    assert len(without) <= (6 if name == "long-answer" else 1)
    for score_name, value in scores.items():
        if "no column" not in value.get("reason", ""):
            assert value == expected[score_name].json(), score_name


def classified(tmp_path, count=12):
    gold = write_rows(tmp_path / "gold.csv", [{"id": f"r{number}", "text": f"text {number}", "label": "ab"[number % 2]}
                                              for number in range(count)])
    return gold, [{"id": f"r{number}", "guess": "ab"[number % 3 % 2]} for number in range(count)]


def test_rows_are_matched_by_id_and_a_column_may_be_named(tmp_path):
    gold, rows = classified(tmp_path)
    RNG.shuffle(rows)
    scores = score(write_rows(tmp_path / "p.csv", rows), gold, "text-classification", column="guess")["test"]
    right = sum("ab"[number % 2] == "ab"[number % 3 % 2] for number in range(12)) / 12
    assert scores["accuracy"]["value"] == right
    assert scores["log_loss"] | {"signature": ""} == {"value": None, "low": None, "high": None, "n": 12, "signature": "",
                                                      "higher_is_better": False,
                                                      "reason": "the predictions have no column 'probabilities'"}


@pytest.mark.parametrize(("change", "message"), [
    (lambda rows: rows[1:], "E335.*no prediction of 'r0'"),
    (lambda rows: [*rows, {"id": "r99", "guess": "a"}], "E336.*'r99'"),
    (lambda rows: [*rows, rows[0]], "E335.*two predictions of 'r0'"),
    (lambda rows: [*rows[1:], {"id": "r0", "guess": ""}], "E202.*no predicted label")])
def test_missing_and_further_rows_are_faults(change, message, tmp_path):
    gold, rows = classified(tmp_path)
    with pytest.raises(DataError, match=message):
        score(write_rows(tmp_path / "p.csv", change(rows)), gold, "text-classification", column="guess")


def test_without_ids_the_order_counts_and_other_texts_are_a_fault(tmp_path):
    gold, rows = classified(tmp_path)
    bare = [{"prediction": row["guess"]} for row in rows]
    assert score(write_rows(tmp_path / "p.jsonl", bare), gold, "text-classification")["test"]["accuracy"]["n"] == 12
    with pytest.raises(DataError, match=r"E335.*11 predictions"):
        score(write_rows(tmp_path / "p.jsonl", bare[1:]), gold, "text-classification")
    shifted = [row | {"text": f"text {number + 1}"} for number, row in enumerate(bare)]
    with pytest.raises(DataError, match="E337"):
        score(write_rows(tmp_path / "p.jsonl", shifted), gold, "text-classification")


def test_squads_own_files_are_scored(tmp_path):
    questions = [{"id": f"q{number}", "question": "Where?", "is_impossible": not number,
                  "answers": [{"text": "the harbour", "answer_start": 3}] if number else []} for number in range(4)]
    gold = tmp_path / "dev.json"
    gold.write_text(json.dumps({"version": "2.0", "data": [{"title": "t", "paragraphs": [
        {"context": "At the harbour of Bath.", "qas": questions}]}]}))
    predictions = tmp_path / "predictions.json"
    predictions.write_text(json.dumps({"q3": "harbour", "q0": "", "q1": "Bath", "q2": "the harbour of Bath"}))
    scores = score(predictions, gold, "question-answering")["test"]
    assert scores["exact_match"]["value"] == 0.5 and scores["f1"]["value"] == pytest.approx((1 + 1 + 0 + 0.5) / 4)
    assert scores["no_answer_f1"]["value"] == 1.0 and scores["best_f1"]["value"] is None


@pytest.mark.parametrize("name", ["language-model", "masked-language-model", "retrieval", "next-sentence",
                                  "bert-pretraining", "replaced-token-detection"])
def test_tasks_that_predictions_do_not_suffice_for_are_refused_in_words(name, tmp_path):
    row = {"text": "One sentence. And a second.", "question": "Who?", "passage": "She."}
    gold = write_rows(tmp_path / "gold.jsonl", [row | {"text": f"{row['text']} {number}"} for number in range(4)])
    path = write_rows(tmp_path / "p.jsonl", [{"prediction": "x"}] * 4)
    with pytest.raises(UserError, match="cannot be scored from a file of predictions") as caught:
        score(path, gold, name)
    assert caught.value.exit == 2


def test_the_command_scores_what_predict_and_a_run_wrote(trained_run, headstart, tmp_path):
    run, reviews = trained_run
    assert headstart("predict", run, reviews, "--to", tmp_path / "p.csv")[0] == 0
    expected = headstart("evaluate", run, reviews, "--json", "--set", "evaluation.resamples=20")[1]
    assert " | precision fp32 | " in expected  # what predictions in a file were computed in is not known
    expected = expected.replace(" | precision fp32 | ", " | ")
    code, stdout, stderr = headstart("evaluate", "--predictions", tmp_path / "p.csv", reviews, "--json", "--set",
                                     "evaluation.resamples=20", "--to", tmp_path / "scored")
    assert code == 0 and json.loads(stdout) == json.loads(expected) and "matched by their order" in stderr
    assert json.loads((tmp_path / "scored" / "scores.json").read_text()) == json.loads(expected)["scores"]
    code, stdout, stderr = headstart("evaluate", "--predictions", run / "predictions.jsonl", reviews)
    assert (code, stdout) == (65, "") and "--split" in stderr
    code, _, stderr = headstart("evaluate", "--predictions", run / "predictions.jsonl", reviews, "--split", "test")
    assert code == 65 and "E335" in stderr  # the other rows of the file were not predicted


def test_what_goes_with_a_model_alone_is_refused(trained_run, tmp_path):
    gold, rows = classified(tmp_path)
    path = write_rows(tmp_path / "p.csv", rows)
    assert run_guarded(["evaluate", "--predictions", path, gold, gold]) == 2
    assert run_guarded(["evaluate", "--predictions", path, gold, "--all-checkpoints"]) == 2
    assert run_guarded(["evaluate", "--predictions", path, gold]) == 65  # no column of predictions
    assert run_guarded(["evaluate", str(trained_run[0])]) == 2
    assert run_guarded(["evaluate", str(trained_run[0]), gold, "--split", "dev"]) == 2
