"""Regression: numbers in, numbers out; every score equals scipy's and scikit-learn's."""

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tiny
from conftest import write_csv

from headstart import tasks
from headstart.baselines.ridge import fit_ridge
from headstart.contract import Column, Row, RowFault
from headstart.metrics import intervals
from headstart.metrics import regression as metrics
from headstart.tasks.regression import Regression, ScoredText
from headstart.tasks.text_classification import TextClassification


def test_scores_equal_the_librarys_on_repeated_rows():
    from scipy.stats import pearsonr, spearmanr
    from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score

    rng = np.random.default_rng(0)
    gold, predicted = rng.integers(0, 6, 80).astype(float), rng.normal(size=80).round(1)
    weights = rng.integers(0, 4, (5, 80)).astype(float)
    scores = metrics.scores(gold, predicted, weights)
    for index, counts in enumerate(weights.astype(int)):
        repeated_gold, repeated_predictions = np.repeat(gold, counts), np.repeat(predicted, counts)
        expected = {"spearman": spearmanr(repeated_gold, repeated_predictions).statistic,
                    "pearson": pearsonr(repeated_gold, repeated_predictions).statistic,
                    "mse": mean_squared_error(repeated_gold, repeated_predictions),
                    "mae": mean_absolute_error(repeated_gold, repeated_predictions),
                    "r2": r2_score(repeated_gold, repeated_predictions)}
        for name, value in expected.items():
            assert scores[name][index] == pytest.approx(value, abs=1e-12), name


def test_scores_of_fractional_weights_equal_scikit_learns():
    from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score

    rng = np.random.default_rng(3)
    gold, predicted, weights = rng.normal(1e6, 1, 50), rng.normal(1e6, 1, 50), rng.random((4, 50))
    scores = metrics.scores(gold, predicted, weights)
    for index, sample_weights in enumerate(weights):
        covariance = np.cov(gold, predicted, aweights=sample_weights)
        expected = {"pearson": covariance[0, 1] / np.sqrt(covariance[0, 0] * covariance[1, 1]),
                    "r2": r2_score(gold, predicted, sample_weight=sample_weights),
                    "mse": mean_squared_error(gold, predicted, sample_weight=sample_weights),
                    "mae": mean_absolute_error(gold, predicted, sample_weight=sample_weights)}
        for name, value in expected.items():
            assert scores[name][index] == pytest.approx(value, rel=1e-9), name


@pytest.mark.parametrize("number", [1.0, 0.1, 1 / 3, 2.7182818, 1e9 + 0.1])
def test_constant_numbers_have_no_correlation(number):
    """The mean of many equal fractions is not always that fraction: rounding must not look like a correlation."""
    constant, varying, weights = np.full(997, number), np.random.default_rng(0).normal(size=997), np.ones((1, 997))
    for gold, predicted in ((constant, varying), (varying, constant)):
        scores = metrics.scores(gold, predicted, weights)
        assert np.isnan(scores["spearman"][0]) and np.isnan(scores["pearson"][0]) and scores["mse"][0] > 0
        assert np.isnan(scores["r2"][0]) == (gold is constant)
    assert metrics.undefined_reason("pearson", constant, varying) == "every row has the same number"
    assert metrics.undefined_reason("pearson", varying, constant) == "every prediction is the same number"
    single_row_weights = np.zeros((1, 997))
    single_row_weights[0, 5] = 3  # of a resample that holds one row alone
    assert np.isnan(metrics.scores(varying, varying, single_row_weights)["pearson"][0])


def test_a_thousand_resamples_of_ten_thousand_rows_take_less_than_3_seconds():
    rng = np.random.default_rng(0)
    gold = rng.normal(size=10_000)
    predicted = gold + rng.normal(size=10_000)
    start = time.process_time()  # of this process alone, whoever else is at work
    scores = intervals.bootstrap(lambda weights: metrics.scores(gold, predicted, weights), 10_000, 1000, 0)
    assert time.process_time() - start < 3
    assert scores["spearman"].low < scores["spearman"].value < scores["spearman"].high


FAULTS = {"3,5": "Write it with a point: 3.5.", "-0,25": "Write it with a point: -0.25.", "1,234.5": "Write 1234.5 if the comma",
          "1,000": "Write 1000 if the comma separates thousands, or 1.000 if it is a decimal comma.",
          "12,345,678": "Write 12345678 if the comma separates thousands.",
          "abc": "Fix it", "nan": "Fix it",
          "inf": "Fix it", "-Infinity": "Fix it", "1.2.3": "Fix it", "1_000": "Fix it", "4 stars": "Fix it",
          "1e999": "Fix it"}


@pytest.mark.parametrize(("value", "fix"), [*FAULTS.items(), (True, "Fix it"), ([1], "Fix it"), ({"a": 1}, "Fix it"),
                                            (10**400, "Fix it"), (float("nan"), "Fix it")])
def test_what_is_no_number_is_reported(value, fix):
    with pytest.raises(RowFault) as error:
        Regression().read(Row(0, {"text": "a", "target": value}))
    assert error.value.code == "E305" and error.value.field == "target" and error.value.fix.startswith(fix)
    assert error.value.message == f"the target is {value!r:.60}, a number was expected."


@pytest.mark.parametrize(("row", "message"), [({"text": " ", "target": 1}, "the text is empty."),
                                              ({"text": None}, "the text is empty."),
                                              ({"text": "a", "pair": "", "target": 1}, "the pair is empty.")])
def test_empty_texts_are_reported(row, message):
    with pytest.raises(RowFault, match=message) as error:
        Regression().read(Row(0, row))
    assert error.value.code == "E201" and error.value.fix


def test_a_file_without_numbers_or_with_one_number_is_refused(headstart, tmp_path):
    data = write_csv(tmp_path / "gaps.csv", [("a fine day", ""), ("rain again", "2.5"), ("wind", "4,5")],
                     ("text", "score"))
    code, _, stderr = headstart("check", data, "--task", "regression", "--target", "score")
    assert code == 65 and '[E202] the row has no value for "score"' in stderr
    assert ("gaps.csv:4:2 [E305] the target is '4,5', a number was expected." in stderr
            and "Write it with a point: 4.5." in stderr)
    data = write_csv(tmp_path / "same.csv", [(text, "0.1") for text in tiny.texts(30)], ("text", "score"))
    code, _, stderr = headstart("check", data, "--task", "regression", "--target", "score")
    assert (code == 65 and "[E203] every training row has the same number, 0.1." in stderr
            and "Is this the right column?" in stderr)


@pytest.mark.parametrize(("value", "number"), [("3.5", 3.5), (2, 2.0), ("1e3", 1000.0), (" -4 ", -4.0), ("", None),
                                               (None, None)])
def test_numbers_are_read_as_written(value, number):
    assert Regression().read(Row(0, {"text": "a", "target": value})).target == number


TEXTS = Column("text", tiny.texts(40))
NUMBERS = {"quarters": [number / 4 for number in range(40)], "many": [str(40 - number) for number in range(40)],
           "pandas stars": [f"{number % 5}.0" for number in range(40)],
           "gaps": ["", None, *[str(number % 25) for number in range(38)]]}


@pytest.mark.parametrize("values", NUMBERS.values(), ids=NUMBERS)
@pytest.mark.parametrize("name", ["score", "Rating", "target", "similarity", "label", "stars", "weight in kg"])
def test_numbers_that_are_no_labels_are_regression(name, values):
    task, detection = tasks.detect([TEXTS, Column(name, values)], "rows.csv")
    assert task is Regression and detection.columns == {"text": "text", "target": name}
    assert "--task text-classification" in detection.reason


@pytest.mark.parametrize("values", [[number % 5 for number in range(40)], ["yes", "no"] * 20,
                                    ["1", "2", "nan", "3"] * 10, [0, 1] * 20])
def test_few_whole_numbers_and_words_are_labels(values):
    columns = [TEXTS, Column("rating", values)]
    assert Regression.detect(columns) is None and tasks.detect(columns, "rows.csv")[0] is TextClassification


def test_pairs_are_recognised_and_row_numbers_are_no_target():
    pairs = [Column("sentence1", tiny.texts(40, 1)), Column("sentence2", tiny.texts(40, 2)),
             Column("score", NUMBERS["quarters"])]
    assert Regression.detect(pairs).columns == {"text": "sentence1", "pair": "sentence2", "target": "score"}
    assert Regression.detect([Column("number", [str(index) for index in range(40)]), TEXTS]) is None
    assert Regression.detect([Column("id", list(range(40))), TEXTS,
                              Column("price", NUMBERS["quarters"])]).columns["target"] == "price"


def test_published_models_with_one_output_are_adopted():
    single_output = {"architectures": ["BertForSequenceClassification"], "id2label": {"0": "LABEL_0"}}
    for config in (single_output, single_output | {"problem_type": "regression"},
                   {"architectures": single_output["architectures"], "num_labels": 1}):
        assert Regression.from_model_config(config).values == {"mean": 0.0, "scale": 1.0}
    for config in (single_output | {"problem_type": "multi_label_classification"},
                   single_output | {"id2label": {"0": "a", "1": "b"}, "problem_type": "regression"},
                   single_output | {"architectures": ["BertForTokenClassification"]}, {}):
        assert Regression.from_model_config(config) is None


def test_the_scale_is_learned_and_shipped():
    task = Regression()
    examples = [ScoredText(index, "a", None, value) for index, value in enumerate([2.0, 4.0, None, 9.0])]
    task = task.with_learned(task.learn(examples))
    assert task.learned.values["mean"] == 5 and task.learned.values["scale"] == pytest.approx(np.std([2, 4, 9]))
    learned, (scale, shift) = task.export_state()
    assert learned.values == {"mean": 0.0, "scale": 1.0} and (shift, scale) == (5, task.learned.values["scale"])
    logit = 0.7
    assert task.with_learned(learned).decode(examples[0], [logit * scale + shift]) == task.decode(examples[0], [logit])


def test_one_number_for_every_text_is_reported():
    gold = np.arange(6.0)
    assert "about 2.5 for every text" in Regression().collapse_warning({"gold": gold,
                                                                        "predicted": np.full(6, 2.5) + 1e-6 * gold})
    assert Regression().collapse_warning({"gold": gold, "predicted": gold[::-1]}) is None


def test_ridge_finds_a_line_and_chooses_its_strength():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(60, 3))
    gold = rows @ [2.0, -1.0, 0.5] + 7
    assert np.abs(fit_ridge(rows, gold, seed=0).numbers(rows) - gold).max() < 0.02
    noise = fit_ridge(rng.normal(size=(60, 50)), rng.normal(size=60), seed=0)
    assert noise.model.alpha == 100 and noise.size_bytes == 8 * 51


def test_a_run_saves_a_model_that_plain_transformers_answers_in_the_users_numbers(tiny_bert, tmp_path, headstart):
    import torch
    import transformers

    rows = [(text, f"{200 + 5 * len(text):.1f}") for text in tiny.texts(90, seed=5)]
    data = write_csv(tmp_path / "prices.csv", rows, ("text", "price"))
    code, *_ = headstart("finetune", data, "--model", tiny_bert, "--to", tmp_path / "run", "--epochs", 2, "--quiet",
                         "--set", "evaluation.resamples=20", "--set", "training.learning_rate=0.003")
    assert code == 0
    scores = json.loads((tmp_path / "run" / "scores.json").read_text())
    assert list(scores["test"]) == ["spearman", "pearson", "mse", "mae", "r2"] and set(scores["baselines"]) == {
        "mean", "tf-idf + ridge regression", "frozen encoder + ridge regression"}
    code, stdout, _ = headstart("predict", tmp_path / "run", "--value", f"text={rows[0][0]}")
    prediction = json.loads(stdout)["prediction"]
    folder = tmp_path / "run" / "model"
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    plain = transformers.AutoModelForSequenceClassification.from_pretrained(folder)
    with torch.no_grad():
        plain_prediction = float(plain(**tokenizer(rows[0][0], return_tensors="pt")).logits[0, 0])
    assert plain.config.problem_type == "regression" and 200 < prediction < 900
    assert plain_prediction == pytest.approx(prediction, rel=1e-5)


def test_the_regression_example_runs(tiny_bert, tmp_path):
    rows = [(first, second, (len(first) + len(second)) / 50)
            for first, second in zip(tiny.texts(210, 1), tiny.texts(210, 2), strict=True)]  # enough to split test off
    data = write_csv(tmp_path / "pairs.csv", rows, ("one", "two", "likeness"))
    script = Path(__file__).parents[2] / "examples" / "regression.py"
    process = subprocess.run([sys.executable, str(script), str(data), "--text", "one", "--pair", "two", "--target",
                              "likeness", "--model", str(tiny_bert),
                              "--to", str(tmp_path / "run"), "--epochs", "1"], capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    for text in ("spearman", "frozen encoder + ridge regression", "undefined: every prediction is the same number",
                 "report:"):
        assert text in process.stdout


def test_a_column_named_as_a_target_may_hold_some_faults(tmp_path, headstart):
    (tmp_path / "r.csv").write_text("text,score\ngood,1.5\nbad,inf\nok,abc\nx,\nfine,2.25\nnice,1.5\n")
    code, _, stderr = headstart("check", tmp_path / "r.csv")
    assert code == 65 and "r.csv:3:2 [E305]" in stderr and "+ 1 more" in stderr and "r.csv:5:2 [E202]" in stderr
