"""What a search finds, best first; of equal ones the lower row comes first.

Q queries, K rows found of each, N rows searched.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Hits:
    """Rows and their scores for every query, (Q, K); -1 and 0 stand where fewer were found."""

    rows: NDArray[np.int64]
    scores: NDArray[np.float32]

    def listed(self) -> list[list[int]]:
        """The rows found for each query, best first."""
        return [[row for row in found if row >= 0] for found in self.rows.tolist()]


def best(scores: NDArray[Any], k: int, *, first: int = 0) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """The k highest scores (N,) and their rows, counted from `first`; all of them when there are fewer."""
    count = len(scores)
    if count > k:
        border = np.partition(scores, count - k)[count - k]
        above = np.flatnonzero(scores > border)
        rows = np.concatenate([above, np.flatnonzero(scores == border)[:k - len(above)]])
    else:
        rows = np.arange(count)
    order = np.lexsort((rows, -scores[rows]))
    return rows[order] + first, scores[rows[order]]


def gathered(found: Sequence[tuple[NDArray[np.int64], NDArray[Any]]], k: int) -> Hits:
    """One line a query, filled up to k columns."""
    rows = np.full((len(found), k), -1, dtype=np.int64)
    scores = np.zeros((len(found), k), dtype=np.float32)
    for number, (own, values) in enumerate(found):
        rows[number, :len(own)], scores[number, :len(own)] = own, values
    return Hits(rows, scores)
