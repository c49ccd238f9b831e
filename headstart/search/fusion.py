"""One ranking from several: reciprocal rank fusion.

Cormack, Clarke and Büttcher 2009, Reciprocal rank fusion outperforms Condorcet and individual rank learning methods.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

Name = TypeVar("Name")
K = 60  # the paper's constant: how little the first places outweigh the next


def reciprocal_rank_fusion(rankings: Sequence[Sequence[Name]], *, weights: Sequence[float] | None = None,
                           k: int = K) -> list[tuple[Name, float]]:
    """Documents by their sum of weight / (k + place) over the rankings, best first, with that sum; each ranking weighs 1 unless told.

    Of equals the one with the best single place comes first, then the one that is listed first.
    """
    sums: dict[Name, float] = {}
    top: dict[Name, int] = {}
    for ranking, weight in zip(rankings, weights or [1.0] * len(rankings), strict=True):
        for place, name in enumerate(dict.fromkeys(ranking), start=1):
            sums[name] = sums.get(name, 0.0) + weight / (k + place)
            top[name] = min(top.get(name, place), place)
    return sorted(sums.items(), key=lambda one: (-round(one[1], 15), top[one[0]]))
