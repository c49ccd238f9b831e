"""Scores of numbers against numbers, under any weighting of the rows.

M rows, R weightings. Each equals scipy's or scikit-learn's on rows repeated as often as they weigh (by test).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

DEFINITIONS = {
    "spearman": "Pearson correlation of the ranks (mean ranks for ties), Spearman 1904",
    "pearson": "covariance / (standard deviation of gold · standard deviation of prediction)",
    "mse": "mean squared error",
    "mae": "mean absolute error",
    "r2": "1 - sum of squared errors / sum of squared distances of gold from its mean",
}
HIGHER_IS_BETTER = {"spearman": True, "pearson": True, "mse": False, "mae": False, "r2": True}


def scores(gold: Floats, predicted: Floats, weights: Floats) -> dict[str, NDArray[Any]]:
    """Every score, (R,); NaN where gold or predictions are constant."""
    total = weights.sum(axis=1)
    total = np.where(total > 0, total, np.nan)
    wide = np.broadcast_to(gold, weights.shape), np.broadcast_to(predicted, weights.shape)
    vary = varied(gold, weights)
    both = vary & varied(predicted, weights)
    error = predicted - gold
    squared = np.einsum("rm,m->r", weights, error**2)
    center = np.einsum("rm,m->r", weights, gold) / total
    spread = np.einsum("rm,rm->r", weights, (gold[None, :] - center[:, None]) ** 2)
    return {
        "spearman": np.where(both, correlation(ranks(gold, weights), ranks(predicted, weights), weights), np.nan),
        "pearson": np.where(both, correlation(wide[0], wide[1], weights), np.nan),
        "mse": squared / total,
        "mae": np.einsum("rm,m->r", weights, np.abs(error)) / total,
        "r2": 1 - np.divide(squared, spread, out=np.full(len(total), np.nan), where=vary & (spread > 0)),
    }


def varied(values: Floats, weights: Floats) -> NDArray[np.bool_]:
    """Whether rows that count have different numbers, (R,); exact, where a variance of 0 is hidden by rounding."""
    there = weights > 0
    low, high = np.where(there, values, np.inf).min(axis=1, initial=np.inf), np.where(there, values, -np.inf).max(axis=1, initial=-np.inf)
    found: NDArray[np.bool_] = low < high
    return found


def correlation(first: Floats, second: Floats, weights: Floats) -> NDArray[Any]:
    """Weighted Pearson correlation of (R, M) and (R, M)."""
    total = weights.sum(axis=1, keepdims=True)
    total = np.where(total > 0, total, np.nan)
    one = first - (weights * first).sum(axis=1, keepdims=True) / total
    two = second - (weights * second).sum(axis=1, keepdims=True) / total
    both = np.einsum("rm,rm,rm->r", weights, one, two)
    size = np.sqrt(np.einsum("rm,rm,rm->r", weights, one, one)) * np.sqrt(np.einsum("rm,rm,rm->r", weights, two, two))
    found: NDArray[Any] = np.divide(both, size, out=np.full(len(both), np.nan), where=size > 1e-300)
    return np.where(np.isnan(found), np.nan, np.clip(found, -1, 1))


def ranks(values: Floats, weights: Floats) -> Floats:
    """Mean rank of every row when each stands as often as it weighs, (R, M)."""
    distinct, group = np.unique(values, return_inverse=True)
    order = np.argsort(group, kind="stable")
    ends = np.searchsorted(group[order], np.arange(len(distinct)), side="right")
    sums = np.zeros((len(weights), len(values) + 1))
    np.cumsum(weights[:, order], axis=1, out=sums[:, 1:])
    upto = sums[:, ends]  # (R, G)
    before = np.concatenate([np.zeros((len(weights), 1)), upto[:, :-1]], axis=1)
    found: Floats = ((before + upto + 1) / 2)[:, group]
    return found


def undefined_reason(name: str, gold: Floats, predicted: Floats) -> str:
    """Why a score has no value."""
    if not len(gold):
        return "there are no rows"
    return "every row has the same number" if len(np.unique(gold)) < 2 else "every prediction is the same number"
