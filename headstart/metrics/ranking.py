"""Scores of ranked documents, one number a query.

A query's documents are ranked best first; `gains` says how much each relevant one is worth (1 where there are no
grades). A document that is listed twice counts at its first rank. A query without a relevant document has no score
(NaN) and is
left out of the means. M queries, R weightings.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.metrics.nan_means import weighted_nanmean

Floats = NDArray[np.float64]
Ranked = Sequence[Sequence[Hashable]]
Gains = Sequence[Mapping[Hashable, float]]
DEFINITIONS = {
    "ndcg_10": "sum of gain / log2(rank + 1) over the first 10 ranks / the same of the best order (Järvelin and "
               "Kekäläinen 2002)",
    "recall_10": "share of the relevant documents that are among the first 10",
    "mrr": "mean of 1 / rank of the first relevant document, 0 where none is listed",
}
REASON = "no query has a relevant document"


def per_query(ranked: Ranked, gains: Gains) -> dict[str, Floats]:
    """ndcg_10, recall_10 and mrr of every query, (M,) each; they are measures for `scores`."""
    return {"ndcg_10": ndcg(ranked, gains, k=10), "recall_10": recall(ranked, gains, k=10),
            "mrr": reciprocal_rank(ranked, gains)}


def scores(measures: Any, weights: Floats) -> dict[str, NDArray[Any]]:
    """Means over the queries that have a relevant document, (R,)."""
    return {name: weighted_nanmean(measures[name], weights) for name in DEFINITIONS}


def ndcg(ranked: Ranked, gains: Gains, *, k: int) -> Floats:
    """Normalised discounted cumulative gain at k, with the gains as they are (not 2^gain - 1), (M,)."""
    values = []
    for documents, document_gains in zip(ranked, gains, strict=True):
        ideal = discounted_gain(sorted((gain for gain in document_gains.values() if gain > 0), reverse=True)[:k])
        ranked_gains = [max(0.0, document_gains.get(document, 0.0)) for document in drop_repeats(documents)[:k]]
        values.append(discounted_gain(ranked_gains) / ideal if ideal else math.nan)
    return np.array(values, dtype=np.float64)


def recall(ranked: Ranked, gains: Gains, *, k: int) -> Floats:
    """Share of the relevant documents among the first k, (M,)."""
    values = []
    for documents, document_gains in zip(ranked, gains, strict=True):
        relevant = relevant_documents(document_gains)
        values.append(len(relevant & set(drop_repeats(documents)[:k])) / len(relevant) if relevant else math.nan)
    return np.array(values, dtype=np.float64)


def reciprocal_rank(ranked: Ranked, gains: Gains, *, k: int | None = None) -> Floats:
    """1 / rank of the first relevant document, 0 where none is among the first k, (M,)."""
    values = []
    for documents, document_gains in zip(ranked, gains, strict=True):
        relevant = relevant_documents(document_gains)
        first_rank = next((rank for rank, document in enumerate(drop_repeats(documents)[:k], start=1)
                           if document in relevant), None)
        values.append((1 / first_rank if first_rank else 0.0) if relevant else math.nan)
    return np.array(values, dtype=np.float64)


def drop_repeats(documents: Sequence[Hashable]) -> list[Hashable]:
    """Each document at its first rank."""
    return list(dict.fromkeys(documents))


def relevant_documents(document_gains: Mapping[Hashable, float]) -> set[Hashable]:
    """The documents with a positive gain."""
    return {document for document, gain in document_gains.items() if gain > 0}


def discounted_gain(gains: Sequence[float]) -> float:
    """Sum of gain / log2(rank + 1), ranks from 1."""
    return sum(gain / math.log2(rank + 1) for rank, gain in enumerate(gains, start=1))
