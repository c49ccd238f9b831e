"""Scores of ranked documents, one number a query.

A query's documents stand best first; `gains` says how much each relevant one is worth (1 where there are no grades).
A document that is listed twice counts at its first place. A query without a relevant document has no score (NaN) and is
left out of the means. M queries, R weightings.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.metrics.means import known_mean

Floats = NDArray[np.float64]
Ranked = Sequence[Sequence[Hashable]]
Gains = Sequence[Mapping[Hashable, float]]
DEFINITIONS = {
    "ndcg_10": "sum of gain / log2(place + 1) over the first 10 places / the same of the best order (Järvelin and Kekäläinen 2002)",
    "recall_10": "share of the relevant documents that stand in the first 10 places",
    "mrr": "mean of 1 / place of the first relevant document, 0 where none is listed",
}
REASON = "no query has a relevant document"


def per_query(ranked: Ranked, gains: Gains) -> dict[str, Floats]:
    """ndcg_10, recall_10 and mrr of every query, (M,) each; they are measures for `scores`."""
    return {"ndcg_10": ndcg(ranked, gains, k=10), "recall_10": recall(ranked, gains, k=10), "mrr": reciprocal_rank(ranked, gains)}


def scores(measures: Any, weights: Floats) -> dict[str, NDArray[Any]]:
    """Means over the queries that have a relevant document, (R,)."""
    return {name: known_mean(measures[name], weights) for name in DEFINITIONS}


def ndcg(ranked: Ranked, gains: Gains, *, k: int) -> Floats:
    """Normalised discounted cumulative gain at k, with the gains as they are (not 2^gain - 1), (M,)."""
    found = []
    for listed, worth in zip(ranked, gains, strict=True):
        best = discounted(sorted((gain for gain in worth.values() if gain > 0), reverse=True)[:k])
        found.append(discounted([max(0.0, worth.get(one, 0.0)) for one in once(listed)[:k]]) / best if best else math.nan)
    return np.array(found, dtype=np.float64)


def recall(ranked: Ranked, gains: Gains, *, k: int) -> Floats:
    """Share of the relevant documents that stand in the first k places, (M,)."""
    found = []
    for listed, worth in zip(ranked, gains, strict=True):
        right = relevant(worth)
        found.append(len(right & set(once(listed)[:k])) / len(right) if right else math.nan)
    return np.array(found, dtype=np.float64)


def reciprocal_rank(ranked: Ranked, gains: Gains, *, k: int | None = None) -> Floats:
    """1 / place of the first relevant document, 0 where none stands in the first k places, (M,)."""
    found = []
    for listed, worth in zip(ranked, gains, strict=True):
        right = relevant(worth)
        place = next((number for number, one in enumerate(once(listed)[:k], start=1) if one in right), None)
        found.append((1 / place if place else 0.0) if right else math.nan)
    return np.array(found, dtype=np.float64)


def once(listed: Sequence[Hashable]) -> list[Hashable]:
    """Each document at its first place."""
    return list(dict.fromkeys(listed))


def relevant(worth: Mapping[Hashable, float]) -> set[Hashable]:
    """The documents that are worth anything."""
    return {one for one, gain in worth.items() if gain > 0}


def discounted(gains: Sequence[float]) -> float:
    """Sum of gain / log2(place + 1), places from 1."""
    return sum(gain / math.log2(place + 1) for place, gain in enumerate(gains, start=1))
