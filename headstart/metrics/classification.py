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

    gold (M,) may hold classes from C on: labels that training never showed, which have no probability.
    """
    classes = max(int(gold.max(initial=0)) + 1, probabilities.shape[1])
    times = whole(weights)
    hits, support, answered = counts(gold, predicted, times, classes)
    total = weights.sum(axis=1)
    total[total == 0] = np.nan  # without rows nothing is defined
    f1 = safe(2 * hits, support + answered)
    here = (support + answered) > 0
    found: dict[str, NDArray[Any]] = {
        "macro_f1": f1.sum(axis=1) / np.where(np.isnan(total), np.nan, here.sum(axis=1)),
        "accuracy": hits.sum(axis=1) / total,
        "weighted_f1": (f1 * support).sum(axis=1) / total,
        "matthews": matthews(hits, support, answered, total),
    }
    found["roc_auc"], found["average_precision"] = curves(gold, probabilities, times)
    found["log_loss"] = weighted(weights, surprise(gold, probabilities)) / total
    found["calibration_error"] = calibration(gold, predicted, probabilities, weights, total)
    return found


def whole(weights: Floats) -> NDArray[Any]:
    """The weights as integers where they are, else as they are.

    Running sums of integers are exact and take 0.6 instead of 3.6 ns a number.
    """
    if weights.sum(axis=1).max(initial=0) < 2**30:
        integers = weights.astype(np.int32)
        if (integers == weights).all():
            return integers
    return weights


def running(weights: NDArray[Any], order: Ints) -> NDArray[Any]:
    """Sums of the first 0, 1, 2 … rows of an order of N rows, (R, N + 1)."""
    sums = np.zeros((weights.shape[0], len(order) + 1), weights.dtype)
    np.cumsum(weights[:, order], axis=1, dtype=weights.dtype, out=sums[:, 1:])
    return sums


def weighted(weights: Floats, values: Floats) -> Floats:
    """Weighted sums of values (M,), (R,); einsum, as a matrix product's threads get in the way of torch's."""
    result: Floats = np.einsum("rm,m->r", weights, values)
    return result


def counts(gold: Ints, predicted: Ints, weights: NDArray[Any], classes: int) -> tuple[Floats, Floats, Floats]:
    """Right answers, gold rows and answers of each class under each weighting, (R, K) each."""
    pairs = gold * classes + predicted
    order, cells = np.argsort(pairs, kind="stable"), np.arange(classes)
    sums, borders = running(weights, order), np.sort(pairs)
    support = np.diff(sums[:, np.searchsorted(borders, np.arange(classes + 1) * classes)], axis=1)
    begins, ends = (np.searchsorted(borders, cells * (classes + 1), side=side) for side in SIDES)
    hits = sums[:, ends] - sums[:, begins]
    answers = running(weights, np.argsort(predicted, kind="stable"))
    answered = np.diff(answers[:, np.searchsorted(np.sort(predicted), np.arange(classes + 1))], axis=1)
    return hits.astype(np.float64), support.astype(np.float64), answered.astype(np.float64)


def safe(top: NDArray[Any], bottom: NDArray[Any]) -> Floats:
    """top / bottom, 0 where bottom is 0."""
    result: Floats = np.divide(top, bottom, out=np.zeros(np.broadcast_shapes(top.shape, bottom.shape)), where=bottom > 0)
    return result


def matthews(hits: Floats, support: Floats, answered: Floats, total: Floats) -> Floats:
    """Multiclass correlation; 0 where all gold or all answers are one class, as scikit-learn has it."""
    top = hits.sum(axis=1) * total - (support * answered).sum(axis=1)
    spread_answers = total**2 - (answered**2).sum(axis=1)
    spread_gold = total**2 - (support**2).sum(axis=1)
    value = safe(top, np.sqrt(np.maximum(spread_answers, 0)) * np.sqrt(np.maximum(spread_gold, 0)))
    return np.where(np.isnan(total), np.nan, value)


def curves(gold: Ints, probabilities: Floats, weights: NDArray[Any]) -> tuple[Floats, Floats]:
    """Area under the ROC curve and average precision, class against rest, mean over classes present."""
    rows, classes = weights.shape[0], probabilities.shape[1]
    areas, precisions = np.full((classes, rows), np.nan), np.full((classes, rows), np.nan)
    for index in np.unique(gold[gold < classes]).tolist():
        areas[index], precisions[index] = one_curve(gold == index, probabilities[:, index], weights)
    return mean_defined(areas), mean_defined(precisions)


def mean_defined(values: Floats) -> Floats:
    """The mean over the classes that are defined, NaN where none is."""
    there = ~np.isnan(values)
    number = there.sum(axis=0)
    sums = np.where(there, values, 0).sum(axis=0)
    result: Floats = np.divide(sums, number, out=np.full(values.shape[1], np.nan), where=number > 0)
    return result


def one_curve(positive: NDArray[np.bool_], scored: Floats, weights: NDArray[Any]) -> tuple[Floats, Floats]:
    """One class against the rest: area under the ROC curve, average precision, (R,) each; rows of a tie go together."""
    order = np.argsort(-scored, kind="stable")
    truth = positive[order]
    last = np.flatnonzero(np.append(np.diff(scored[order]) != 0, True))  # the last row of every tie
    places = np.flatnonzero(truth)
    before = np.searchsorted(places, last, side="right")  # positives up to each threshold
    # Only thresholds where a positive is added matter: between them both curves are flat or add nothing.
    steps = np.flatnonzero(np.diff(before, prepend=0))
    begins = np.concatenate([[0], last[:-1] + 1])[steps]
    sums = running(weights, order)
    true = running(weights, order[places])[:, np.append(0, before[steps])]
    seen = sums[:, last[steps] + 1]
    gained = np.diff(true, axis=1).astype(np.float64)
    total = true[:, -1].astype(np.float64)
    negatives = sums[:, -1] - total
    average = np.einsum("rt,rt->r", gained, safe(true[:, 1:], seen))
    # Area: every gained positive loses to the negatives before its tie, and to half of those in it.
    false_twice = seen + sums[:, begins] - true[:, 1:] - true[:, :-1]
    lost = np.einsum("rt,rt->r", gained, false_twice) / 2
    nan = np.full(len(total), np.nan)
    share = np.divide(lost, total * negatives, out=nan.copy(), where=(total > 0) & (negatives > 0))
    return 1 - share, np.divide(average, total, out=nan, where=total > 0)


def surprise(gold: Ints, probabilities: Floats) -> Floats:
    """-ln of the probability of the gold class, (M,); a class without a probability has the smallest."""
    tiny = np.finfo(np.float64).eps
    known = gold < probabilities.shape[1]
    taken = np.where(known, probabilities[np.arange(len(gold)), np.where(known, gold, 0)], 0.0)
    result: Floats = -np.log(np.clip(taken, tiny, 1 - tiny))
    return result


def bins_of(confidence: Floats, bins: int) -> Ints:
    """The bin of each confidence: [0, 1/bins], (1/bins, 2/bins], (2/bins, 3/bins] …"""
    found: Ints = np.searchsorted(np.linspace(0, 1, bins + 1)[1:-1], confidence, side="left")
    return found


def calibration(gold: Ints, predicted: Ints, probabilities: Floats, weights: Floats, total: Floats) -> Floats:
    """Expected calibration error of the answer's probability."""
    confidence = probabilities[np.arange(len(gold)), predicted]
    where = bins_of(confidence, BINS)
    gap = (gold == predicted) - confidence
    held = (np.flatnonzero(where == one) for one in range(BINS))
    errors = [np.abs(weighted(weights[:, rows], gap[rows])) for rows in held]
    result: Floats = np.sum(errors, axis=0) / total
    return result


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
    most = max(classes, int(gold.max(initial=0)) + 1)
    hits, support, answered = (held[0] for held in counts(gold, predicted, np.ones((1, len(gold))), most))
    return {name: values[:classes] for name, values in {
        "precision": safe(hits, answered), "recall": safe(hits, support), "f1": safe(2 * hits, support + answered),
        "support": support.astype(np.int64), "predicted": answered.astype(np.int64)}.items()}


def confusion(gold: Ints, predicted: Ints, classes: int) -> Ints:
    """How often each gold class (rows; unseen ones last) was taken for each class (columns)."""
    rows = max(classes, int(gold.max(initial=0)) + 1)
    table: Ints = np.bincount(gold * classes + predicted, minlength=rows * classes).reshape(rows, classes)
    return table


def reliability(gold: Ints, predicted: Ints, probabilities: Floats, bins: int = BINS) -> dict[str, NDArray[Any]]:
    """For each bin of confidence: its borders, rows, mean confidence, share of right answers (NaN when empty)."""
    confidence = probabilities[np.arange(len(gold)), predicted]
    where = bins_of(confidence, bins)
    count = np.bincount(where, minlength=bins)
    nan = np.full(bins, np.nan)
    sums = np.bincount(where, weights=confidence, minlength=bins)
    right = np.bincount(where, weights=(gold == predicted).astype(np.float64), minlength=bins)
    edges = np.linspace(0, 1, bins + 1)
    return {"low": edges[:-1], "high": edges[1:], "count": count,
            "confidence": np.divide(sums, count, out=nan.copy(), where=count > 0),
            "accuracy": np.divide(right, count, out=nan.copy(), where=count > 0)}
