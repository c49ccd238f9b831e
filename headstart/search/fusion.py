"""One ranking from several: reciprocal rank fusion.

Cormack, Clarke and Büttcher 2009, Reciprocal rank fusion outperforms Condorcet and individual rank learning methods.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

Document = TypeVar("Document")
K = 60  # the paper's constant: how little the first ranks outweigh the next


def reciprocal_rank_fusion(rankings: Sequence[Sequence[Document]], *, weights: Sequence[float] | None = None,
                           k: int = K) -> list[tuple[Document, float]]:
    """Documents by their sum of weight / (k + rank) over the rankings, best first, with that sum; each ranking weighs 1
    by default.

    Of equals the one with the best single rank comes first, then the one that is listed first.
    """
    scores: dict[Document, float] = {}
    best_rank: dict[Document, int] = {}
    for ranking, weight in zip(rankings, weights or [1.0] * len(rankings), strict=True):
        for rank, document in enumerate(dict.fromkeys(ranking), start=1):
            scores[document] = scores.get(document, 0.0) + weight / (k + rank)
            best_rank[document] = min(best_rank.get(document, rank), rank)
    return sorted(scores.items(), key=lambda entry: (-round(entry[1], 15), best_rank[entry[0]]))
