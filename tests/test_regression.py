"""Regression: numbers in, numbers out; every score equals scipy's and scikit-learn's."""

import json

import numpy as np
import pytest
import tiny
from conftest import write_csv

from headstart.contract import Column, Row, RowFault
from headstart.metrics import regression as metrics
from headstart.tasks.regression import Regression


def test_scores_equal_the_librarys_on_repeated_rows():
    from scipy.stats import pearsonr, spearmanr
    from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score

    draw = np.random.default_rng(0)
    gold, predicted = draw.integers(0, 6, 80).astype(float), draw.normal(size=80).round(1)
    weights = draw.integers(0, 4, (5, 80)).astype(float)
    found = metrics.scores(gold, predicted, weights)
    for number, held in enumerate(weights.astype(int)):
        x, y = np.repeat(gold, held), np.repeat(predicted, held)
        wanted = {"spearman": spearmanr(x, y).statistic, "pearson": pearsonr(x, y).statistic, "mse": mean_squared_error(x, y),
                  "mae": mean_absolute_error(x, y), "r2": r2_score(x, y)}
        for name, value in wanted.items():
            assert found[name][number] == pytest.approx(value, abs=1e-12), name


def test_constant_numbers_have_no_correlation():
    found = metrics.scores(np.ones(4), np.arange(4.0), np.ones((1, 4)))
    assert np.isnan(found["spearman"][0]) and np.isnan(found["pearson"][0]) and np.isnan(found["r2"][0]) and found["mse"][0] == 1.5
    assert "same number" in metrics.undefined_reason("pearson", np.ones(4), np.arange(4.0))


@pytest.mark.parametrize(("value", "words"), [("3,5", "Write it with a point"), ("abc", "Mend it"), ("nan", "Mend it"), ("inf", "Mend it"),
                                              (True, "Mend it"), ([1], "Mend it"), ("1.2.3", "Mend it"), ("-Infinity", "Mend it")])
def test_what_is_no_number_is_told(value, words):
    with pytest.raises(RowFault) as told:
        Regression().read(Row(0, {"text": "a", "target": value}))
    assert told.value.code == "E305" and words in told.value.fix and told.value.field == "target"


@pytest.mark.parametrize(("value", "number"), [("3.5", 3.5), (2, 2.0), ("1e3", 1000.0), (" -4 ", -4.0), ("", None), (None, None)])
def test_numbers_are_read_as_written(value, number):
    assert Regression().read(Row(0, {"text": "a", "target": value})).target == number


def test_fractions_and_many_whole_numbers_are_numbers_few_are_labels():
    texts = Column("text", tiny.texts(40))
    assert Regression.detect([texts, Column("score", [number / 4 for number in range(40)])]) is not None
    assert Regression.detect([texts, Column("score", [str(number) for number in range(40)])]) is not None
    assert Regression.detect([texts, Column("score", [number % 5 for number in range(40)])]) is None


def test_a_run_saves_a_model_that_plain_transformers_answers_in_the_users_numbers(tiny_bert, tmp_path, headstart):
    import torch
    import transformers

    rows = [(text, f"{200 + 5 * len(text):.1f}") for text in tiny.texts(90, seed=5)]
    data = write_csv(tmp_path / "prices.csv", rows, ("text", "price"))
    code, *_ = headstart("finetune", data, "--model", tiny_bert, "--to", tmp_path / "run", "--epochs", 2, "--quiet", "--set",
                         "evaluation.resamples=20", "--set", "training.learning_rate=0.003")
    assert code == 0
    scores = json.loads((tmp_path / "run" / "scores.json").read_text())
    assert list(scores["test"]) == ["spearman", "pearson", "mse", "mae", "r2"] and set(scores["baselines"]) == {
        "mean", "tf-idf + ridge regression", "frozen encoder + ridge regression"}
    code, out, _ = headstart("predict", tmp_path / "run", "--value", f"text={rows[0][0]}")
    ours = json.loads(out)["prediction"]
    place = tmp_path / "run" / "model"
    tokenizer = transformers.AutoTokenizer.from_pretrained(place)
    plain = transformers.AutoModelForSequenceClassification.from_pretrained(place)
    with torch.no_grad():
        theirs = float(plain(**tokenizer(rows[0][0], return_tensors="pt")).logits[0, 0])
    assert plain.config.problem_type == "regression" and 200 < ours < 900
    assert theirs == pytest.approx(ours, rel=1e-5)
