"""Guess a hidden token from its two neighbours, by counting.

V tokens of the vocabulary, A asked places.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

ROWS = 64  # asked places whose V probabilities are worked out at once
WEIGHT = 0.9  # of what a neighbour says; the rest is how often the token stands anywhere


class Neighbours:
    """p(token | left, right) in proportion to p(token | left) · p(right | token), each mixed with p(token) alone.

    The two factors are bigrams with linear interpolation (Jelinek and Mercer 1980); p(token) has one added to each count.
    """

    def __init__(self, texts: Iterable[Sequence[int]], size: int) -> None:
        from scipy.sparse import coo_matrix

        firsts, seconds, counts = [], [], np.ones(size)
        for ids in texts:
            held = np.asarray(ids, dtype=np.int64)
            counts += np.bincount(held, minlength=size)
            firsts.append(held[:-1])
            seconds.append(held[1:])
        pairs = (np.concatenate(firsts), np.concatenate(seconds)) if firsts else (np.zeros(0, dtype=np.int64),) * 2
        table = coo_matrix((np.ones(len(pairs[0])), pairs), shape=(size, size)).tocsr()
        table.sum_duplicates()
        totals = np.maximum(1, np.asarray(table.sum(axis=1)).ravel())
        self.alone = counts / counts.sum()
        self.after: Any = table.multiply(1 / totals[:, None]).tocsr()  # [left, token] p(token | left)
        self.before: Any = self.after.T.tocsr()  # [right, token] p(right | token)

    @property
    def size_bytes(self) -> int:
        """How much it takes to keep."""
        return int(self.alone.nbytes + 12 * self.after.nnz)

    def probabilities(self, left: Sequence[int], right: Sequence[int]) -> Iterator[NDArray[np.float64]]:
        """p(token) at each asked place between two neighbours: arrays of (at most 64, V), A rows in all."""
        for begin in range(0, len(left), ROWS):
            places = slice(begin, begin + ROWS)
            given = WEIGHT * self.after[list(left[places])].toarray() + (1 - WEIGHT) * self.alone
            seen = WEIGHT * self.before[list(right[places])].toarray() + (1 - WEIGHT) * self.alone[list(right[places])][:, None]
            both = given * seen
            yield both / both.sum(axis=1, keepdims=True)
