"""Scores of answers that are sets of labels.

M rows, C labels, R weightings. Each equals scikit-learn's with sample_weight (by test).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.metrics.classification import mean_defined, one_curve, safe, whole

Floats = NDArray[np.float64]

DEFINITIONS = {
    "macro_f1": "mean over the labels present (those unseen in training as one, never given) of "
                "2·precision·recall/(precision+recall), at each label's threshold",
    "micro_f1": "F1 over all rows and labels together (those unseen in training as one, never given), at each label's threshold",
    "average_precision": "mean over the labels present of the area under precision and recall",
    "roc_auc": "mean over the labels present of the area under the ROC curve",
    "subset_accuracy": "share of rows whose whole set of labels is right",
    "macro_f1_at_half": "macro_f1 at threshold 0.5 for every label",
    "micro_f1_at_half": "micro_f1 at threshold 0.5 for every label",
}


def scores(gold: NDArray[np.bool_], given: NDArray[np.bool_], probabilities: Floats, unseen: NDArray[np.bool_],
           weights: Floats) -> dict[str, NDArray[Any]]:
    """Every score, (R,): gold, given (M, C) bool, probabilities (M, C); unseen (M,): a gold label that training never showed."""
    total = weights.sum(axis=1)
    whole_gold, never = np.column_stack([gold, unseen]), np.zeros((len(gold), 1), dtype=bool)
    macro, micro = f1_scores(whole_gold, np.column_stack([given, never]), weights)
    half = f1_scores(whole_gold, np.column_stack([probabilities >= 0.5, never]), weights)
    areas, precisions = np.full((gold.shape[1], len(weights)), np.nan), np.full((gold.shape[1], len(weights)), np.nan)
    times = whole(weights)
    for label in range(gold.shape[1]):
        if gold[:, label].any():
            areas[label], precisions[label] = one_curve(gold[:, label], probabilities[:, label], times)
    right = ((gold == given).all(axis=1) & ~unseen).astype(np.float64)
    return {
        "macro_f1": macro,
        "micro_f1": micro,
        "average_precision": mean_defined(precisions),
        "roc_auc": mean_defined(areas),
        "subset_accuracy": np.einsum("rm,m->r", weights, right) / np.where(total > 0, total, np.nan),
        "macro_f1_at_half": half[0],
        "micro_f1_at_half": half[1],
    }


def f1_scores(gold: NDArray[np.bool_], given: NDArray[np.bool_], weights: Floats) -> tuple[NDArray[Any], NDArray[Any]]:
    """Macro F1 over labels that stand in gold or answers, and micro F1; NaN where there is no label at all."""
    hits, support, answered = (np.einsum("rm,mc->rc", weights, held.astype(np.float64)) for held in (gold & given, gold, given))
    there = (support + answered) > 0
    each = safe(2 * hits, support + answered)
    count = there.sum(axis=1)
    macro = np.divide(each.sum(axis=1), count, out=np.full(len(weights), np.nan), where=count > 0)
    both = (support + answered).sum(axis=1)
    micro = np.divide(2 * hits.sum(axis=1), both, out=np.full(len(weights), np.nan), where=both > 0)
    return macro, micro


def best_threshold(gold: NDArray[np.bool_], probabilities: Floats) -> float:
    """The threshold with the highest F1 of one label, halfway between two probabilities; 0.5 without a positive row.

    Of equally good ones the nearest to 0.5.
    """
    if not gold.any():
        return 0.5
    order = np.argsort(-probabilities, kind="stable")
    hits = np.cumsum(gold[order])
    scored = probabilities[order]
    last = np.append(scored[1:] != scored[:-1], True)
    value = 2 * hits / (np.arange(1, len(order) + 1) + gold.sum())
    below = np.append(scored[1:], 0.0)
    middle = (scored + below) / 2
    middle = np.where(middle > below, middle, scored)  # between neighbouring floats there is no middle
    best = value[last].max()
    ties = np.flatnonzero(last & (value >= best - 1e-12))
    low, high = below[ties], scored[ties]  # any threshold in (low, high] gives the same answers
    nearest = np.where((low < 0.5) & (high >= 0.5), 0.5, middle[ties])
    return float(nearest[np.argmin(np.abs(nearest - 0.5))])


def undefined_reason(name: str, gold: NDArray[np.bool_]) -> str:
    """Why a score has no value."""
    if not len(gold):
        return "there are no rows"
    if name == "roc_auc" and gold.any():
        return "every label stands in all of these rows or in none"
    return "no row has a label that was seen in training" if name in ("roc_auc", "average_precision") else "no row has or is given a label"


def per_label(gold: NDArray[np.bool_], given: NDArray[np.bool_]) -> dict[str, NDArray[Any]]:
    """precision, recall, f1, support and predicted of each label, (C,) each."""
    hits, support, answered = (gold & given).sum(axis=0), gold.sum(axis=0), given.sum(axis=0)
    return {"precision": safe(hits, answered), "recall": safe(hits, support), "f1": safe(2 * hits, support + answered),
            "support": support, "predicted": answered}
