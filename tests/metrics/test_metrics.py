"""Scores equal scikit-learn's; intervals are a pure function of rows and seed."""

import numpy as np
import pytest
from sklearn import metrics

from headstart.metrics import classification, intervals


def random_predictions(seed, rows=60, classes=4, decimals=1):
    rng = np.random.default_rng(seed)
    table = (rng.random((rows, classes)) + 0.01).round(decimals) + 0.01  # rounding makes ties
    table /= table.sum(axis=1, keepdims=True)
    return rng.integers(0, classes, rows), table.argmax(axis=1), table


@pytest.mark.parametrize("seed", range(12))
def test_every_score_equals_scikit_learns_also_when_rows_are_repeated(seed):
    classes = 2 + seed % 4
    gold, predicted, table = random_predictions(seed, classes=classes)
    weights = np.random.default_rng(seed).integers(0, 3, (4, len(gold))).astype(float)
    weights[0] = 1
    scores = classification.scores(gold, predicted, table, weights)
    for row, counts in enumerate(weights.astype(int)):
        repeated_rows = np.repeat(np.arange(len(gold)), counts)
        g, p, q = gold[repeated_rows], predicted[repeated_rows], table[repeated_rows]
        onehot = np.eye(classes)[g]
        expected = {
            "macro_f1": metrics.f1_score(g, p, average="macro", zero_division=0),
            "accuracy": metrics.accuracy_score(g, p),
            "weighted_f1": metrics.f1_score(g, p, average="weighted", zero_division=0),
            "matthews": metrics.matthews_corrcoef(g, p),
            "roc_auc": metrics.roc_auc_score(onehot, q, average="macro"),
            "log_loss": metrics.log_loss(g, q, labels=range(classes)),
            "average_precision": metrics.average_precision_score(onehot, q, average="macro")}
        for name, value in expected.items():
            assert scores[name][row] == pytest.approx(value, abs=1e-12), name


def test_a_class_that_is_absent_is_left_out_of_the_mean():
    gold, predicted, table = random_predictions(1, classes=3)
    gold[gold == 2] = 0
    areas = [metrics.roc_auc_score(gold == index, table[:, index]) for index in (0, 1)]
    scores = classification.scores(gold, predicted, table, np.ones((1, len(gold))))
    assert scores["roc_auc"][0] == pytest.approx(np.mean(areas), abs=1e-12)


def test_one_class_only_is_undefined_with_a_reason():
    gold, predicted, table = random_predictions(2, classes=2)
    gold[:] = 1
    scores = classification.scores(gold, predicted, table, np.ones((1, len(gold))))
    assert np.isnan(scores["roc_auc"][0]) and np.isnan(scores["average_precision"][0])
    assert not np.isnan(scores["accuracy"][0])
    assert "only one class" in classification.undefined_reason("roc_auc", gold, predicted, 2)


def test_a_label_unseen_in_training_counts_as_wrong():
    table = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])
    scores = classification.scores(np.array([0, 1, 2]), table.argmax(1), table, np.ones((1, 3)))
    assert scores["accuracy"][0] == pytest.approx(2 / 3)
    assert scores["macro_f1"][0] == pytest.approx(metrics.f1_score([0, 1, 2], [0, 1, 0], average="macro",
                                                                   zero_division=0))
    assert scores["log_loss"][0] > 10
    assert classification.confusion(np.array([0, 1, 2]), table.argmax(1), 2).tolist() == [[1, 0], [0, 1], [1, 0]]


def test_calibration_error_by_hand():
    table = np.array([[0.95, 0.05], [0.95, 0.05], [0.35, 0.65]])
    scores = classification.scores(np.array([0, 1, 1]), np.array([0, 0, 1]), table, np.ones((1, 3)))
    assert scores["calibration_error"][0] == pytest.approx((2 * abs(0.5 - 0.95) + abs(1 - 0.65)) / 3)
    bins = classification.reliability(np.array([0, 1, 1]), np.array([0, 0, 1]), table)
    assert bins["count"].sum() == 3 and bins["accuracy"][14] == 0.5


def test_per_class_equals_scikit_learns():
    gold, predicted, _ = random_predictions(3)
    rows = classification.per_class(gold, predicted, 4)
    expected = metrics.precision_recall_fscore_support(gold, predicted, zero_division=0)
    for name, values in zip(("precision", "recall", "f1", "support"), expected, strict=True):
        assert rows[name] == pytest.approx(values, abs=1e-12)


def accuracy(gold, predicted):
    return lambda weights: {"accuracy": weights @ (gold == predicted) / weights.sum(axis=1)}


def test_intervals_are_a_pure_function_of_rows_and_seed():
    gold, predicted, _ = random_predictions(4, rows=200)
    first, again, other_seed = (intervals.bootstrap(accuracy(gold, predicted), 200, 300, seed)["accuracy"]
                                for seed in (0, 0, 1))
    assert first == again and first != other_seed
    assert first.low < first.value < first.high
    spread = np.sqrt(first.value * (1 - first.value) / 200)
    assert first.high - first.low == pytest.approx(2 * 1.96 * spread, rel=0.2)


def test_the_difference_to_oneself_is_nothing():
    gold, predicted, _ = random_predictions(5)
    difference = intervals.paired_bootstrap(accuracy(gold, predicted), accuracy(gold, predicted), 60, 100,
                                            0)["accuracy"]
    assert (difference.value, difference.low, difference.high) == (0, 0, 0)


def test_groups_are_drawn_whole():
    groups = np.repeat(np.arange(10), 6)
    for weights in intervals.resample_weights(60, 100, 0, groups):
        assert (weights.reshape(-1, 10, 6).std(axis=2) == 0).all() and (weights.sum(axis=1) == 60).all()


def test_without_resamples_there_is_no_interval():
    gold, predicted, _ = random_predictions(6)
    interval = intervals.bootstrap(accuracy(gold, predicted), 60, 0, 0)["accuracy"]
    assert interval.low is None and interval.value == pytest.approx((gold == predicted).mean())
