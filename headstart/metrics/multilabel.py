"""Scores of predictions that are sets of labels.

M rows, C labels, R weightings. Each equals scikit-learn's with sample_weight (by test).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.metrics.classification import binary_curve_areas, divide_or_zero, integer_weights, nanmean

Floats = NDArray[np.float64]

DEFINITIONS = {
    "macro_f1": "mean over the labels present (those unseen in training as one, never predicted) of "
                "2·precision·recall/(precision+recall), at each label's threshold",
    "micro_f1": "F1 over all rows and labels together (those unseen in training as one, never predicted), at each "
                "label's threshold",
    "average_precision": "mean over the labels present of the area under precision and recall",
    "roc_auc": "mean over the labels present of the area under the ROC curve",
    "subset_accuracy": "share of rows whose whole set of labels is right",
    "macro_f1_at_half": "macro_f1 at threshold 0.5 for every label",
    "micro_f1_at_half": "micro_f1 at threshold 0.5 for every label",
}


def scores(gold: NDArray[np.bool_], predicted: NDArray[np.bool_], probabilities: Floats, unseen: NDArray[np.bool_],
           weights: Floats) -> dict[str, NDArray[Any]]:
    """Every score, (R,): gold, predicted (M, C) bool, probabilities (M, C); unseen (M,): a gold label that training
    never showed.
    """
    total = weights.sum(axis=1)
    gold_with_unseen, no_prediction = np.column_stack([gold, unseen]), np.zeros((len(gold), 1), dtype=bool)
    macro, micro = f1_scores(gold_with_unseen, np.column_stack([predicted, no_prediction]), weights)
    half = f1_scores(gold_with_unseen, np.column_stack([probabilities >= 0.5, no_prediction]), weights)
    areas, precisions = np.full((gold.shape[1], len(weights)), np.nan), np.full((gold.shape[1], len(weights)), np.nan)
    counts = integer_weights(weights)
    for label in range(gold.shape[1]):
        if gold[:, label].any():
            areas[label], precisions[label] = binary_curve_areas(gold[:, label], probabilities[:, label], counts)
    exact = ((gold == predicted).all(axis=1) & ~unseen).astype(np.float64)
    return {
        "macro_f1": macro,
        "micro_f1": micro,
        "average_precision": nanmean(precisions),
        "roc_auc": nanmean(areas),
        "subset_accuracy": np.einsum("rm,m->r", weights, exact) / np.where(total > 0, total, np.nan),
        "macro_f1_at_half": half[0],
        "micro_f1_at_half": half[1],
    }


def f1_scores(gold: NDArray[np.bool_], predicted: NDArray[np.bool_],
              weights: Floats) -> tuple[NDArray[Any], NDArray[Any]]:
    """Macro F1 over labels that are gold or predicted, and micro F1; NaN where there is no label at all."""
    hits, support, predicted_counts = (np.einsum("rm,mc->rc", weights, indicators.astype(np.float64))
                                       for indicators in (gold & predicted, gold, predicted))
    present = (support + predicted_counts) > 0
    label_f1 = divide_or_zero(2 * hits, support + predicted_counts)
    count = present.sum(axis=1)
    macro = np.divide(label_f1.sum(axis=1), count, out=np.full(len(weights), np.nan), where=count > 0)
    totals = (support + predicted_counts).sum(axis=1)
    micro = np.divide(2 * hits.sum(axis=1), totals, out=np.full(len(weights), np.nan), where=totals > 0)
    return macro, micro


def best_threshold(gold: NDArray[np.bool_], probabilities: Floats) -> float:
    """The threshold with the highest F1 of one label, halfway between two probabilities; 0.5 without a positive row.

    Of equally good ones the nearest to 0.5.
    """
    if not gold.any():
        return 0.5
    order = np.argsort(-probabilities, kind="stable")
    hits = np.cumsum(gold[order])
    sorted_probabilities = probabilities[order]
    is_tie_end = np.append(sorted_probabilities[1:] != sorted_probabilities[:-1], True)
    f1 = 2 * hits / (np.arange(1, len(order) + 1) + gold.sum())
    next_probabilities = np.append(sorted_probabilities[1:], 0.0)
    middle = (sorted_probabilities + next_probabilities) / 2
    # between neighbouring floats there is no middle
    middle = np.where(middle > next_probabilities, middle, sorted_probabilities)
    best_f1 = f1[is_tie_end].max()
    ties = np.flatnonzero(is_tie_end & (f1 >= best_f1 - 1e-12))
    # any threshold in (low, high] gives the same predictions
    low, high = next_probabilities[ties], sorted_probabilities[ties]
    nearest = np.where((low < 0.5) & (high >= 0.5), 0.5, middle[ties])
    return float(nearest[np.argmin(np.abs(nearest - 0.5))])


def undefined_reason(name: str, gold: NDArray[np.bool_]) -> str:
    """Why a score has no value."""
    if not len(gold):
        return "there are no rows"
    if name == "roc_auc" and gold.any():
        return "every label is in all of these rows or in none"
    if name in ("roc_auc", "average_precision"):
        return "no row has a label that was seen in training"
    return "no row has a label or a predicted one"


def per_label(gold: NDArray[np.bool_], predicted: NDArray[np.bool_]) -> dict[str, NDArray[Any]]:
    """precision, recall, f1, support and predicted of each label, (C,) each."""
    hits, support, predicted_counts = (gold & predicted).sum(axis=0), gold.sum(axis=0), predicted.sum(axis=0)
    return {"precision": divide_or_zero(hits, predicted_counts), "recall": divide_or_zero(hits, support),
            "f1": divide_or_zero(2 * hits, support + predicted_counts), "support": support,
            "predicted": predicted_counts}
