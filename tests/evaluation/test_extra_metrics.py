"""Metrics of other packages: beside the task's scores, on the same resamples, for labels, numbers and texts."""

import dataclasses
import json

import numpy as np
import outside
import pytest

from headstart import extensions, tasks
from headstart.contract import Learned, Metric, Prediction
from headstart.errors import UserError
from headstart.evaluation.evaluate import differences, evaluate
from headstart.metrics import installed
from headstart.tasks.regression import ScoredText
from headstart.tasks.shared.classification import as_prediction
from headstart.tasks.shared.sequence_to_sequence import SourceTargetExample
from headstart.tasks.text_classification import LabelledText

SOURCE = '''
import math
from collections import Counter
from headstart import Metric

def cost(gold, predicted):
    return {"good": 1.0, "bad": 5.0, "mixed": 2.0}[gold] * (gold != predicted)

def agreement(gold, predicted):
    """Cohen's kappa (1960)."""
    rows, golds, answers = len(gold), Counter(gold), Counter(predicted)
    chance = sum(golds[label] * answers[label] for label in golds) / rows ** 2
    same = sum(first == second for first, second in zip(gold, predicted)) / rows
    return (same - chance) / (1 - chance) if chance < 1 else math.nan

def off(gold, predicted):
    return abs(gold - predicted)

def extra_length(gold, predicted):
    return len(predicted) - len(gold)

def fails(gold, predicted):
    raise KeyError("no such label")

COST = Metric("cost", cost, "mean cost of an error", higher_is_better=False, answers=("label",))
AGREEMENT = Metric("agreement", agreement, "Cohen's kappa", answers=("label", "number"), per_row=False)
OFF = Metric("off", off, "mean distance", higher_is_better=False, answers=("number",))
EXTRA = Metric("extra_length", extra_length, "letters too many", higher_is_better=False, answers=("text",))
ACCURACY = Metric("accuracy", cost, "not that of headstart", answers=("label",))
FAILS = Metric("fails", fails, "never anything")
'''
NAMES = {"cost": "COST", "agreement": "AGREEMENT", "off": "OFF", "extra_length": "EXTRA", "accuracy": "ACCURACY",
         "fails": "FAILS"}
LABELS = ("bad", "good", "mixed")


@pytest.fixture(autouse=True)
def outside_metrics(tmp_path, monkeypatch):
    """The metrics of a package that is installed for one test."""
    package = outside.Package(tmp_path / "site", "outside-metrics", {"outside_metrics.py": SOURCE},
                              {"headstart.metrics": {name: f"outside_metrics:{value}" for name, value in NAMES.items()}})
    monkeypatch.syspath_prepend(str(package.site))
    for cached in (extensions.extensions, extensions.installed_entry_points, installed.find):
        cached.cache_clear()
    yield
    for cached in (extensions.extensions, extensions.installed_entry_points, installed.find):
        cached.cache_clear()


def classification(names, rows=60, seed=0):
    rng = np.random.default_rng(seed)
    gold = rng.choice(LABELS, rows).tolist()
    task = dataclasses.replace(tasks.find("text-classification")(), state=Learned(LABELS, (1, 1, 1)),
                               extra_metrics=names)
    examples = [LabelledText(index, f"text {index}", None, label) for index, label in enumerate(gold)]
    predictions = [as_prediction(index, LABELS, rng.dirichlet(np.ones(3))) for index in range(rows)]
    return task, examples, predictions


def resamples(rows, count, seed):
    """The rows of each resample, as headstart.metrics.intervals draws them."""
    return [np.random.default_rng([seed, 17, index]).integers(0, rows, rows) for index in range(count)]


def test_a_metric_of_rows_is_their_mean_with_the_interval_of_the_same_resamples():
    task, examples, predictions = classification(("cost",))
    evaluation = evaluate(task, examples, predictions, resamples=70, seed=5)
    costs = {"good": 1.0, "bad": 5.0, "mixed": 2.0}
    numbers = np.array([costs[example.label] * (example.label != prediction.values["prediction"])
                        for example, prediction in zip(examples, predictions, strict=True)])
    score = evaluation.scores["cost"]
    means = [numbers[rows].mean() for rows in resamples(len(examples), 70, 5)]
    assert score.value == pytest.approx(numbers.mean(), abs=1e-12) and not score.higher_is_better
    assert (score.low, score.high) == pytest.approx(tuple(np.quantile(means, [0.025, 0.975])), abs=1e-12)
    assert "outside_metrics:COST of the package outside-metrics 1.0" in score.signature
    names = list(evaluation.scores)
    assert names[0] == "macro_f1" and names[-1] == "cost"


def test_a_metric_of_all_rows_is_computed_on_each_resample():
    from sklearn.metrics import cohen_kappa_score

    task, examples, predictions = classification(("agreement",), seed=1)
    score = evaluate(task, examples, predictions, resamples=40, seed=3).scores["agreement"]
    gold = np.array([example.label for example in examples])
    answers = np.array([prediction.values["prediction"] for prediction in predictions])
    values = [cohen_kappa_score(gold[rows], answers[rows]) for rows in resamples(len(gold), 40, 3)]
    assert score.value == pytest.approx(cohen_kappa_score(gold, answers), abs=1e-12)
    assert (score.low, score.high) == pytest.approx(tuple(np.quantile(values, [0.025, 0.975])), abs=1e-12)


def test_paired_differences_hold_the_metric_too():
    task, examples, predictions = classification(("cost", "agreement"))
    evaluation = evaluate(task, examples, predictions, resamples=30, seed=0)
    always = evaluate(task, examples, [as_prediction(index, LABELS, np.array([1.0, 0.0, 0.0]))
                                       for index in range(len(examples))], resamples=30, seed=0)
    difference = differences(task, evaluation, always, resamples=30, seed=0)
    for name in ("cost", "agreement"):
        assert difference[name]["value"] == pytest.approx(evaluation.scores[name].value - always.scores[name].value)


def test_the_scores_of_the_task_stay_bit_for_bit_the_same():
    task, examples, predictions = classification(("cost", "agreement"))
    plain = evaluate(dataclasses.replace(task, extra_metrics=()), examples, predictions, resamples=20, seed=0).scores
    both = evaluate(task, examples, predictions, resamples=20, seed=0).scores
    assert plain == {name: both[name] for name in plain} and len(both) == len(plain) + 2


def test_numbers_and_texts_come_as_they_are_and_of_several_references_the_best_counts():
    numbers = dataclasses.replace(tasks.find("regression")(), extra_metrics=("off",))
    evaluation = evaluate(numbers, [ScoredText(0, "a", None, 2.5), ScoredText(1, "b", None, 1.0)],
                          [Prediction(0, {"prediction": 2.0}), Prediction(1, {"prediction": 3.0})], resamples=0, seed=0)
    assert evaluation.scores["off"].value == 1.25
    texts = dataclasses.replace(tasks.find("text-to-text")(), extra_metrics=("extra_length",))
    evaluation = evaluate(texts, [SourceTargetExample(0, "s", ("four", "sixsix")), SourceTargetExample(1, "s", ("a",))],
                          [Prediction(0, {"prediction": "fives"}), Prediction(1, {"prediction": "abc"})], resamples=0,
                          seed=0)
    assert evaluation.scores["extra_length"].value == (-1 + 2) / 2  # lower is better: the longest reference


def test_nan_is_an_undefined_score_with_a_reason():
    task, examples, _ = classification(("agreement",), rows=4)
    same = [dataclasses.replace(example, label="bad") for example in examples]
    predictions = [as_prediction(index, LABELS, np.array([1.0, 0.0, 0.0])) for index in range(4)]
    score = evaluate(task, same, predictions, resamples=5, seed=0).scores["agreement"]
    assert score.value is None and score.reason == "the metric gave NaN"


def test_a_metric_with_the_name_of_a_score_of_the_task_is_refused_with_both_origins():
    task, examples, predictions = classification(("accuracy",))
    with pytest.raises(UserError, match=r"one of text-classification of headstart, and outside_metrics:ACCURACY of "
                                        r"the package outside-metrics 1\.0"):
        evaluate(task, examples, predictions, resamples=0, seed=0)


def test_a_metric_that_fails_is_named_with_its_package_and_what_it_was_given():
    task, examples, predictions = classification(("fails",))
    with pytest.raises(UserError, match=r"'fails' \(outside_metrics:FAILS of the package outside-metrics 1.0\) failed: "
                                        r"KeyError"):
        evaluate(task, examples, predictions, resamples=0, seed=0)


def test_texts_are_compared_row_by_row_only():
    with pytest.raises(ValueError, match="row by row"):
        Metric("corpus", lambda gold, predicted: 0.0, "never", answers=("text",), per_row=False)


def test_a_run_scores_splits_and_baselines_by_the_metric_and_can_be_chosen_by_it(tiny_bert, reviews, tmp_path, headstart):
    run = tmp_path / "run"
    common = [reviews, "--model", tiny_bert, "--quiet", "--epochs", "2", "--set", "evaluation.resamples=10",
              "--set", "evaluation.explained_errors=0"]
    code, _, stderr = headstart("finetune", *common, "--to", run, "--set", "evaluation.extra_metrics=cost,agreement",
                                "--set", "evaluation.metric=cost")
    assert code == 0, stderr
    scores = json.loads((run / "scores.json").read_text(encoding="utf-8"))
    assert scores["best"]["score"] == "cost" and not scores["test"]["cost"]["higher_is_better"]
    assert {"cost", "agreement"} <= {*scores["dev"]} & {*scores["test"]}
    for baseline in scores["baselines"].values():
        assert {"cost", "agreement"} <= {*baseline["scores"]} & {*baseline["difference"]}
    assert 'extra_metrics = "cost,agreement"' in (run / "settings.toml").read_text(encoding="utf-8")
    code, stdout, _ = headstart("evaluate", run, reviews, "--json", "--set", "evaluation.extra_metrics=agreement")
    assert code == 0 and "agreement" in json.loads(stdout)["scores"]["test"]
    code, _, stderr = headstart("finetune", *common, "--to", tmp_path / "second", "--set",
                                "evaluation.extra_metrics=accuracy")
    assert code == 78 and "outside_metrics:ACCURACY" in stderr
    assert not (tmp_path / "second" / "checkpoints").exists() or not any((tmp_path / "second" / "checkpoints").iterdir())
