"""Guess a masked token from its two neighbours, by bigram counts.

V tokens of the vocabulary, A masked positions.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

BLOCK = 64  # masked positions whose V probabilities are computed at once
BIGRAM_WEIGHT = 0.9  # of the bigram in the interpolation; the rest goes to the unigram


class BidirectionalBigram:
    """p(token | left, right) in proportion to p(token | left) · p(right | token), each mixed with p(token) alone.

    The two factors are bigrams with linear interpolation (Jelinek and Mercer 1980); p(token) has one added to each
    count.
    """

    def __init__(self, texts: Iterable[Sequence[int]], vocabulary_size: int) -> None:
        from scipy.sparse import coo_matrix

        left_ids, right_ids, counts = [], [], np.ones(vocabulary_size)
        for ids in texts:
            token_ids = np.asarray(ids, dtype=np.int64)
            counts += np.bincount(token_ids, minlength=vocabulary_size)
            left_ids.append(token_ids[:-1])
            right_ids.append(token_ids[1:])
        pairs = (np.concatenate(left_ids), np.concatenate(right_ids)) if left_ids else (np.zeros(0, dtype=np.int64),
                                                                                        ) * 2
        bigrams = coo_matrix((np.ones(len(pairs[0])), pairs), shape=(vocabulary_size, vocabulary_size)).tocsr()
        bigrams.sum_duplicates()
        totals = np.maximum(1, np.asarray(bigrams.sum(axis=1)).ravel())
        self.unigram = counts / counts.sum()
        self.given_left: Any = bigrams.multiply(1 / totals[:, None]).tocsr()  # [left, token] p(token | left)
        self.given_right: Any = self.given_left.T.tocsr()  # [right, token] p(right | token)

    @property
    def size_bytes(self) -> int:
        """Of its counts."""
        return int(self.unigram.nbytes + 12 * self.given_left.nnz)

    def probabilities(self, left_ids: Sequence[int], right_ids: Sequence[int]) -> Iterator[NDArray[np.float64]]:
        """p(token) at each masked position between two neighbours: arrays of (at most 64, V), A rows in all."""
        for start in range(0, len(left_ids), BLOCK):
            block = slice(start, start + BLOCK)
            from_left = BIGRAM_WEIGHT * self.given_left[list(left_ids[block])].toarray() + (
                1 - BIGRAM_WEIGHT) * self.unigram
            right_unigram = self.unigram[list(right_ids[block])][:, None]
            from_right = BIGRAM_WEIGHT * self.given_right[list(right_ids[block])].toarray() + (
                1 - BIGRAM_WEIGHT) * right_unigram
            products = from_left * from_right
            yield products / products.sum(axis=1, keepdims=True)
