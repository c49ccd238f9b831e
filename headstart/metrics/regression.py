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
    broadcast = np.broadcast_to(gold, weights.shape), np.broadcast_to(predicted, weights.shape)
    gold_varies = has_variance(gold, weights)
    both_vary = gold_varies & has_variance(predicted, weights)
    error = predicted - gold
    squared = np.einsum("rm,m->r", weights, error**2)
    mean = np.einsum("rm,m->r", weights, gold) / total
    total_squares = np.einsum("rm,rm->r", weights, (gold[None, :] - mean[:, None]) ** 2)
    return {
        "spearman": np.where(both_vary, correlation(ranks(gold, weights), ranks(predicted, weights), weights), np.nan),
        "pearson": np.where(both_vary, correlation(broadcast[0], broadcast[1], weights), np.nan),
        "mse": squared / total,
        "mae": np.einsum("rm,m->r", weights, np.abs(error)) / total,
        "r2": 1 - np.divide(squared, total_squares, out=np.full(len(total), np.nan),
                            where=gold_varies & (total_squares > 0)),
    }


def has_variance(values: Floats, weights: Floats) -> NDArray[np.bool_]:
    """Whether rows that count have different numbers, (R,); exact, where a variance of 0 is hidden by rounding."""
    counted = weights > 0
    low = np.where(counted, values, np.inf).min(axis=1, initial=np.inf)
    high = np.where(counted, values, -np.inf).max(axis=1, initial=-np.inf)
    varies: NDArray[np.bool_] = low < high
    return varies


def correlation(first: Floats, second: Floats, weights: Floats) -> NDArray[Any]:
    """Weighted Pearson correlation of (R, M) and (R, M)."""
    total = weights.sum(axis=1, keepdims=True)
    total = np.where(total > 0, total, np.nan)
    centered_first = first - (weights * first).sum(axis=1, keepdims=True) / total
    centered_second = second - (weights * second).sum(axis=1, keepdims=True) / total
    covariance = np.einsum("rm,rm,rm->r", weights, centered_first, centered_second)
    first_norm = np.sqrt(np.einsum("rm,rm,rm->r", weights, centered_first, centered_first))
    second_norm = np.sqrt(np.einsum("rm,rm,rm->r", weights, centered_second, centered_second))
    norms = first_norm * second_norm
    quotient: NDArray[Any] = np.divide(covariance, norms, out=np.full(len(covariance), np.nan), where=norms > 1e-300)
    return np.where(np.isnan(quotient), np.nan, np.clip(quotient, -1, 1))


def ranks(values: Floats, weights: Floats) -> Floats:
    """Mean rank of every row when each is repeated as often as it weighs, (R, M)."""
    distinct, group = np.unique(values, return_inverse=True)
    order = np.argsort(group, kind="stable")
    ends = np.searchsorted(group[order], np.arange(len(distinct)), side="right")
    sums = np.zeros((len(weights), len(values) + 1))
    np.cumsum(weights[:, order], axis=1, out=sums[:, 1:])
    cumulative = sums[:, ends]  # (R, G)
    preceding = np.concatenate([np.zeros((len(weights), 1)), cumulative[:, :-1]], axis=1)
    mean_ranks: Floats = ((preceding + cumulative + 1) / 2)[:, group]
    return mean_ranks


def undefined_reason(name: str, gold: Floats, predicted: Floats) -> str:
    """Why a score has no value."""
    if not len(gold):
        return "there are no rows"
    return "every row has the same number" if len(np.unique(gold)) < 2 else "every prediction is the same number"
