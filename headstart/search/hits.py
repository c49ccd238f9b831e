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

    def rankings(self) -> list[list[int]]:
        """The rows found for each query, best first."""
        return [[row for row in query_rows if row >= 0] for query_rows in self.rows.tolist()]


def top_k(scores: NDArray[Any], k: int, *, first_row: int = 0) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """The k highest scores (N,) and their rows, counted from `first`; all of them when there are fewer."""
    count = len(scores)
    if count > k:
        cutoff = np.partition(scores, count - k)[count - k]
        rows_above = np.flatnonzero(scores > cutoff)
        rows = np.concatenate([rows_above, np.flatnonzero(scores == cutoff)[:k - len(rows_above)]])
    else:
        rows = np.arange(count)
    order = np.lexsort((rows, -scores[rows]))
    return rows[order] + first_row, scores[rows[order]]


def stack_hits(results: Sequence[tuple[NDArray[np.int64], NDArray[Any]]], k: int) -> Hits:
    """The results of several queries as one table, a row a query, padded to k columns."""
    rows = np.full((len(results), k), -1, dtype=np.int64)
    scores = np.zeros((len(results), k), dtype=np.float32)
    for query, (query_rows, query_scores) in enumerate(results):
        rows[query, :len(query_rows)], scores[query, :len(query_rows)] = query_rows, query_scores
    return Hits(rows, scores)
