"""A word n-gram language model with interpolated Kneser-Ney smoothing, three discounts an order.

Chen and Goodman 1999, An empirical study of smoothing techniques for language modeling, section 3:
p(w | h) = (c(h w) - D(c)) / c(h) + (D1·N1 + D2·N2 + D3·N3) / c(h) · p(w | h shorter by its first word),
where c counts occurrences at the highest order (and at a document's start), and distinct preceding words at lower ones;
N1, N2, N3 are how many words follow h once, twice, more often; below one word stands the uniform share 1 / V.
A token unseen in training counts as one word of the vocabulary, <unknown>, whose probability is the mass left to unseen
words. A document ends with an end marker, which is predicted too.
Shapes: T tokens of a document with its markers, V words with <unknown> and the end marker, K distinct n-grams of an
order.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
UNKNOWN_ID, END_ID, BEGIN_ID, FIRST_WORD = 0, 1, 2, 3  # ids of the markers; words from 3 on


@dataclass(frozen=True)
class NGramTable:
    """The n-grams of one order. An n-gram's key is (row of its first n - 1 words in the table below)·base + last word.
    """

    keys: Ints  # (K,) ascending
    discounted: Floats  # (K,) c - D(c)
    totals: Floats  # c(h) of each shorter n-gram, 0 where nothing follows
    backoff: Floats  # the discounted mass for shorter contexts, of c(h), between 0 and 1

    def rows(self, keys: Ints) -> Ints:
        """The rows of these n-grams in the table, -1 for unseen ones."""
        rows = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        return np.where((keys >= 0) & (self.keys[rows] == keys), rows, -1)


@dataclass(frozen=True)
class NGram:
    """A fitted n-gram model over words or other tokens (ids of a tokenizer)."""

    vocabulary: dict[Hashable, int]
    tables: tuple[NGramTable, ...]  # order 1 first

    @classmethod
    def fit(cls, documents: Iterable[Sequence[Hashable]], *, order: int = 3) -> NGram:
        """Count the n-grams of the training documents up to this size."""
        vocabulary: dict[Hashable, int] = {}
        rows = [add_markers([vocabulary.setdefault(token, len(vocabulary) + FIRST_WORD) for token in document])
                for document in documents]
        return cls(vocabulary, count_ngrams(rows, len(vocabulary) + FIRST_WORD, order))

    @property
    def size(self) -> int:
        """V: the words, <unknown> and the end marker."""
        return len(self.vocabulary) + 2

    @property
    def size_bytes(self) -> int:
        """Of its counts and words."""
        arrays = sum(table.keys.nbytes + table.discounted.nbytes + table.totals.nbytes + table.backoff.nbytes
                     for table in self.tables)
        return arrays + sum(len(str(word)) + 8 for word in self.vocabulary)

    def ids(self, document: Sequence[Hashable]) -> list[int]:
        """The model's id of each token; 0 for unknown ones."""
        return [self.vocabulary.get(token, UNKNOWN_ID) for token in document]

    def token_losses(self, document: Sequence[Hashable]) -> Floats:
        """-ln p of each token and of the end marker last (nats), (len(document) + 1,)."""
        return -np.log(self.token_probabilities(np.array(add_markers(self.ids(document)), dtype=np.int64)))

    def losses(self, documents: Iterable[Sequence[Hashable]], *, end: bool = True) -> Floats:
        """Summed -ln p of each document (nats), (M,); with `end` the end marker is one token more."""
        return np.array([self.token_losses(document)[:None if end else -1].sum() for document in documents],
                        dtype=np.float64)

    def unknown_counts(self, documents: Iterable[Sequence[Hashable]]) -> Ints:
        """How many tokens of each document are unknown, (M,): their loss says little about them."""
        return np.array([self.ids(document).count(UNKNOWN_ID) for document in documents], dtype=np.int64)

    def distribution(self, prefix: Sequence[Hashable]) -> Floats:
        """p of every word after these first tokens of a document, (V,): <unknown>, the end marker, then the words as
        first seen.
        """
        start = add_markers(self.ids(prefix))[:-1][-(len(self.tables) + 1):]
        token_ids = [UNKNOWN_ID, END_ID, *range(FIRST_WORD, FIRST_WORD + len(self.vocabulary))]
        return np.array([self.token_probabilities(np.array([*start, word], dtype=np.int64))[-1] for word in token_ids],
                        dtype=np.float64)

    def token_probabilities(self, ids: Ints) -> Floats:
        """p of each token but the first, given those before it, (T - 1,): from single words to the longest context."""
        base = len(self.vocabulary) + FIRST_WORD
        probability = np.full(len(ids), 1 / self.size)
        # row of the words before each token; a single word follows the empty context 0
        context = np.zeros(len(ids), dtype=np.int64)
        for table in self.tables:
            if not len(table.keys):  # no document is so long
                break
            context_rows = np.maximum(context, 0)
            totals = np.where(context >= 0, table.totals[context_rows], 0.0)
            ngram_rows = table.rows(np.where(context >= 0, context * base + ids, -1))
            discounted = np.where(ngram_rows >= 0, table.discounted[np.maximum(ngram_rows, 0)], 0.0)
            interpolated = discounted / np.where(totals > 0, totals, 1) + table.backoff[context_rows] * probability
            probability = np.where(totals > 0, interpolated, probability)
            # The n-gram that ends at a token is the context of the next one.
            context = np.concatenate([[-1], ngram_rows[:-1]])
        return probability[1:]


def add_markers(ids: Sequence[int]) -> list[int]:
    """A document between its start and end markers."""
    return [BEGIN_ID, *ids, END_ID]


def count_ngrams(rows: Sequence[Sequence[int]], base: int, order: int) -> tuple[NGramTable, ...]:
    """The tables of every order from documents as ids."""
    ids = np.array([token for row in rows for token in row], dtype=np.int64)
    starts = ids == BEGIN_ID
    context, table_rows = np.zeros(len(ids), dtype=np.int64), []
    occurrences: list[tuple[Ints, Ints]] = []
    for _ in range(order):
        keys = np.where(context >= 0, context * base + ids, -1)
        unique_keys, key_rows = np.unique(keys[keys >= 0], return_inverse=True)
        ngram_rows = np.full(len(ids), -1)
        ngram_rows[keys >= 0] = key_rows
        occurrences.append((unique_keys, np.bincount(key_rows, minlength=len(unique_keys))))
        table_rows.append(ngram_rows)
        # No n-gram reaches over a document's start: what stands before a start is no context of it.
        context = np.where(starts, -1, np.concatenate([[-1], ngram_rows[:-1]])) if len(ids) else ngram_rows
    tables = []
    for size in range(order):
        keys, counts = occurrences[size]
        if size < order - 1:
            counts = continuation_counts(occurrences[size + 1][0], table_rows[size], table_rows[size + 1], counts)
        tables.append(smooth(keys, counts, base, len(occurrences[size - 1][0]) if size else 1))
    return tuple(tables)


def continuation_counts(longer_keys: Ints, rows: Ints, longer_rows: Ints, occurrences: Ints) -> Ints:
    """How many distinct words precede each n-gram; its occurrences where it begins a document and nothing can."""
    suffix_rows = np.full(len(longer_keys), -1)
    valid = longer_rows >= 0
    suffix_rows[longer_rows[valid]] = rows[valid]  # the n-gram that each longer one ends with
    counts = np.bincount(suffix_rows, minlength=len(occurrences))
    continuations: Ints = np.where(counts > 0, counts, occurrences)
    return continuations


def smooth(keys: Ints, counts: Ints, base: int, contexts: int) -> NGramTable:
    """Discounts, totals and backoff mass of one order."""
    counts = np.where(keys % base == BEGIN_ID, 0, counts)  # a start marker is never predicted
    context = keys // base
    ngram_discounts = np.array([0.0, *discounts(counts)])[np.minimum(counts, 3)]
    totals = np.bincount(context, weights=counts, minlength=contexts).astype(np.float64)
    discounted_mass = np.bincount(context, weights=ngram_discounts, minlength=contexts)
    return NGramTable(keys, counts - ngram_discounts, totals, discounted_mass / np.where(totals > 0, totals, 1))


def discounts(counts: Ints) -> tuple[float, float, float]:
    """D1, D2, D3 as section 3 estimates them, by how many n-grams stand there once to four times.

    A corpus too small for them has one discount for all, n1 / (n1 + 2·n2) (Ney et al. 1994), or 1/2.
    """
    ones, twos, threes, fours = (int((counts == times).sum()) for times in (1, 2, 3, 4))
    if not ones or not twos:
        return (0.5,) * 3
    common = ones / (ones + 2 * twos)
    third = 3 - 4 * common * fours / threes if threes else 0.0
    estimates = (common, 2 - 3 * common * threes / twos, third)
    return estimates if all(0 < discount <= times for times, discount in enumerate(estimates,
                                                                                   start=1)) else (common,) * 3
