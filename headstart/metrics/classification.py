"""Scores of single-label classification, for many weightings of the rows at once.

M rows, C classes, K = C + classes that only the gold has, R weightings; weights (R, M) are how often a row counts.
Every value equals scikit-learn's with sample_weight (the tests hold it to 1e-12).
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
BINS = 15
SIDES: tuple[Literal["left"], Literal["right"]] = ("left", "right")

DEFINITIONS = {
    "macro_f1": "mean over the classes present of 2·precision·recall/(precision+recall)",
    "accuracy": "share of rows whose predicted class is the gold class",
    "weighted_f1": "mean of each class's F1 weighted by its rows",
    "matthews": "multiclass correlation of gold and prediction (Gorodkin 2004, eq. 8)",
    "roc_auc": "mean over the classes present of the area under the ROC curve of the class against the rest",
    "average_precision": "mean over the classes present of the class's average precision against the rest",
    "log_loss": "mean of -ln of the probability of the gold class, clipped at 2.2e-16",
    "calibration_error": "mean |accuracy - confidence| over 15 equal bins of confidence (Guo et al. 2017, eq. 3)",
}
HIGHER_IS_BETTER = {name: name not in ("log_loss", "calibration_error") for name in DEFINITIONS}


def scores(gold: Ints, predicted: Ints, probabilities: Floats, weights: Floats) -> dict[str, NDArray[Any]]:
    """Every score under every weighting, (R,) each, NaN where undefined.

    gold (M,) may hold classes from C on: labels unseen in training, which have no probability.
    """
    classes = max(int(gold.max(initial=0)) + 1, probabilities.shape[1])
    counts = integer_weights(weights)
    hits, support, predicted_counts = class_counts(gold, predicted, counts, classes)
    total = weights.sum(axis=1)
    total[total == 0] = np.nan  # without rows nothing is defined
    f1 = divide_or_zero(2 * hits, support + predicted_counts)
    present = (support + predicted_counts) > 0
    scores_by_name: dict[str, NDArray[Any]] = {
        "macro_f1": f1.sum(axis=1) / np.where(np.isnan(total), np.nan, present.sum(axis=1)),
        "accuracy": hits.sum(axis=1) / total,
        "weighted_f1": (f1 * support).sum(axis=1) / total,
        "matthews": matthews(hits, support, predicted_counts, total),
    }
    scores_by_name["roc_auc"], scores_by_name["average_precision"] = curve_areas(gold, probabilities, counts)
    scores_by_name["log_loss"] = weighted_sum(weights, log_losses(gold, probabilities)) / total
    scores_by_name["calibration_error"] = calibration_error(gold, predicted, probabilities, weights, total)
    return scores_by_name


def integer_weights(weights: Floats) -> NDArray[Any]:
    """The weights as integers where they are, else as they are.

    Running sums of integers are exact and take 0.6 instead of 3.6 ns a number.
    """
    if weights.sum(axis=1).max(initial=0) < 2**30:
        integers = weights.astype(np.int32)
        if (integers == weights).all():
            return integers
    return weights


def cumulative_weights(weights: NDArray[Any], order: Ints) -> NDArray[Any]:
    """Sums of the first 0, 1, 2 … rows of an order of N rows, (R, N + 1)."""
    sums = np.zeros((weights.shape[0], len(order) + 1), weights.dtype)
    np.cumsum(weights[:, order], axis=1, dtype=weights.dtype, out=sums[:, 1:])
    return sums


def weighted_sum(weights: Floats, values: Floats) -> Floats:
    """Weighted sums of values (M,), (R,); einsum, as a matrix product's threads get in the way of torch's."""
    sums: Floats = np.einsum("rm,m->r", weights, values)
    return sums


def class_counts(gold: Ints, predicted: Ints, weights: NDArray[Any], classes: int) -> tuple[Floats, Floats, Floats]:
    """Hits, gold rows and predictions of each class under each weighting, (R, K) each."""
    pairs = gold * classes + predicted
    order, cells = np.argsort(pairs, kind="stable"), np.arange(classes)
    sums, sorted_pairs = cumulative_weights(weights, order), np.sort(pairs)
    support = np.diff(sums[:, np.searchsorted(sorted_pairs, np.arange(classes + 1) * classes)], axis=1)
    starts, ends = (np.searchsorted(sorted_pairs, cells * (classes + 1), side=side) for side in SIDES)
    hits = sums[:, ends] - sums[:, starts]
    prediction_sums = cumulative_weights(weights, np.argsort(predicted, kind="stable"))
    predicted_counts = np.diff(prediction_sums[:, np.searchsorted(np.sort(predicted), np.arange(classes + 1))], axis=1)
    return hits.astype(np.float64), support.astype(np.float64), predicted_counts.astype(np.float64)


def divide_or_zero(numerator: NDArray[Any], denominator: NDArray[Any]) -> Floats:
    """numerator / denominator, 0 where the denominator is 0."""
    zeros = np.zeros(np.broadcast_shapes(numerator.shape, denominator.shape))
    quotient: Floats = np.divide(numerator, denominator, out=zeros, where=denominator > 0)
    return quotient


def matthews(hits: Floats, support: Floats, predicted_counts: Floats, total: Floats) -> Floats:
    """Multiclass correlation; 0 where all gold or all predictions are one class, as scikit-learn has it."""
    covariance = hits.sum(axis=1) * total - (support * predicted_counts).sum(axis=1)
    predicted_variance = total**2 - (predicted_counts**2).sum(axis=1)
    gold_variance = total**2 - (support**2).sum(axis=1)
    correlation = divide_or_zero(covariance, np.sqrt(np.maximum(predicted_variance, 0))
                                 * np.sqrt(np.maximum(gold_variance, 0)))
    return np.where(np.isnan(total), np.nan, correlation)


def curve_areas(gold: Ints, probabilities: Floats, weights: NDArray[Any]) -> tuple[Floats, Floats]:
    """Area under the ROC curve and average precision, class against rest, mean over classes present.

    NaN where all rows are of one class: nothing is to be told apart, and any model's average precision would be 1.
    """
    rows, classes = weights.shape[0], probabilities.shape[1]
    areas, precisions = np.full((classes, rows), np.nan), np.full((classes, rows), np.nan)
    if (gold == gold[:1]).all():
        return areas[0], precisions[0]
    for index in np.unique(gold[gold < classes]).tolist():
        areas[index], precisions[index] = binary_curve_areas(gold == index, probabilities[:, index], weights)
    return nanmean(areas), nanmean(precisions)


def nanmean(values: Floats) -> Floats:
    """The mean over the classes that are defined, NaN where none is."""
    defined = ~np.isnan(values)
    count = defined.sum(axis=0)
    sums = np.where(defined, values, 0).sum(axis=0)
    means: Floats = np.divide(sums, count, out=np.full(values.shape[1], np.nan), where=count > 0)
    return means


def binary_curve_areas(positive: NDArray[np.bool_], scores: Floats, weights: NDArray[Any]) -> tuple[Floats, Floats]:
    """One class against the rest: area under the ROC curve, average precision, (R,) each; rows of a tie go together."""
    order = np.argsort(-scores, kind="stable")
    sorted_positive = positive[order]
    tie_ends = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))  # the last row of every tie
    positive_indices = np.flatnonzero(sorted_positive)
    positives_up_to = np.searchsorted(positive_indices, tie_ends, side="right")  # positives up to each threshold
    # Only thresholds where a positive is added matter: between them both curves are flat or add nothing.
    steps = np.flatnonzero(np.diff(positives_up_to, prepend=0))
    tie_starts = np.concatenate([[0], tie_ends[:-1] + 1])[steps]
    sums = cumulative_weights(weights, order)
    true_positives = cumulative_weights(weights, order[positive_indices])[:, np.append(0, positives_up_to[steps])]
    predicted_positives = sums[:, tie_ends[steps] + 1]
    gained = np.diff(true_positives, axis=1).astype(np.float64)
    total = true_positives[:, -1].astype(np.float64)
    negatives = sums[:, -1] - total
    precision_sums = np.einsum("rt,rt->r", gained, divide_or_zero(true_positives[:, 1:], predicted_positives))
    # Area: every gained positive loses to the negatives before its tie, and to half of those in it.
    false_twice = predicted_positives + sums[:, tie_starts] - true_positives[:, 1:] - true_positives[:, :-1]
    lost_pairs = np.einsum("rt,rt->r", gained, false_twice) / 2
    nan = np.full(len(total), np.nan)
    lost_share = np.divide(lost_pairs, total * negatives, out=nan.copy(), where=(total > 0) & (negatives > 0))
    return 1 - lost_share, np.divide(precision_sums, total, out=nan, where=total > 0)


def log_losses(gold: Ints, probabilities: Floats) -> Floats:
    """-ln of the probability of the gold class, (M,); a class without a probability has the smallest."""
    tiny = np.finfo(np.float64).eps
    has_probability = gold < probabilities.shape[1]
    gold_probabilities = np.where(has_probability,
                                  probabilities[np.arange(len(gold)), np.where(has_probability, gold, 0)], 0.0)
    losses: Floats = -np.log(np.clip(gold_probabilities, tiny, 1 - tiny))
    return losses


def bin_indices(confidence: Floats, bins: int) -> Ints:
    """The bin of each confidence: [0, 1/bins], (1/bins, 2/bins], (2/bins, 3/bins] …"""
    indices: Ints = np.searchsorted(np.linspace(0, 1, bins + 1)[1:-1], confidence, side="left")
    return indices


def calibration_error(gold: Ints, predicted: Ints, probabilities: Floats, weights: Floats, total: Floats) -> Floats:
    """Expected calibration error of the predicted class's probability."""
    confidence = probabilities[np.arange(len(gold)), predicted]
    bin_of_row = bin_indices(confidence, BINS)
    gap = (gold == predicted) - confidence
    rows_by_bin = (np.flatnonzero(bin_of_row == index) for index in range(BINS))
    errors = [np.abs(weighted_sum(weights[:, rows], gap[rows])) for rows in rows_by_bin]
    error: Floats = np.sum(errors, axis=0) / total
    return error


def undefined_reason(name: str, gold: Ints, predicted: Ints, classes: int) -> str:
    """Why a score has no value."""
    if not len(gold):
        return "there are no rows"
    if name in ("roc_auc", "average_precision"):
        if not (gold < classes).any():
            return "no label of these rows was seen in training"
        return "only one class is in these rows"
    return "undefined on these rows"


def per_class(gold: Ints, predicted: Ints, classes: int) -> dict[str, NDArray[Any]]:
    """precision, recall, f1, support and predicted of each class, (C,) each."""
    all_classes = max(classes, int(gold.max(initial=0)) + 1)
    hits, support, predicted_counts = (counts[0] for counts in class_counts(gold, predicted, np.ones((1, len(gold))),
                                                                            all_classes))
    return {name: values[:classes] for name, values in {
        "precision": divide_or_zero(hits, predicted_counts), "recall": divide_or_zero(hits, support),
        "f1": divide_or_zero(2 * hits, support + predicted_counts), "support": support.astype(np.int64),
        "predicted": predicted_counts.astype(np.int64)}.items()}


def confusion(gold: Ints, predicted: Ints, classes: int) -> Ints:
    """How often each gold class (rows; unseen ones last) was predicted as each class (columns)."""
    rows = max(classes, int(gold.max(initial=0)) + 1)
    table: Ints = np.bincount(gold * classes + predicted, minlength=rows * classes).reshape(rows, classes)
    return table


def reliability(gold: Ints, predicted: Ints, probabilities: Floats, bins: int = BINS) -> dict[str, NDArray[Any]]:
    """For each bin of confidence: its borders, rows, mean confidence, accuracy (NaN when empty)."""
    confidence = probabilities[np.arange(len(gold)), predicted]
    bin_of_row = bin_indices(confidence, bins)
    count = np.bincount(bin_of_row, minlength=bins)
    nan = np.full(bins, np.nan)
    sums = np.bincount(bin_of_row, weights=confidence, minlength=bins)
    hits = np.bincount(bin_of_row, weights=(gold == predicted).astype(np.float64), minlength=bins)
    edges = np.linspace(0, 1, bins + 1)
    return {"low": edges[:-1], "high": edges[1:], "count": count,
            "confidence": np.divide(sums, count, out=nan.copy(), where=count > 0),
            "accuracy": np.divide(hits, count, out=nan.copy(), where=count > 0)}
