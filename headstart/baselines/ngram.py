"""A word n-gram language model with interpolated Kneser-Ney smoothing, three discounts an order.

Chen and Goodman 1999, An empirical study of smoothing techniques for language modeling, section 3:
p(w | h) = (c(h w) - D(c)) / c(h) + (D1·N1 + D2·N2 + D3·N3) / c(h) · p(w | h shorter by its first word),
where c counts occurrences at the highest order (and after a document's begin), and different words before at lower ones;
N1, N2, N3 are how many words follow h once, twice, more often; below one word stands the uniform share 1 / V.
A token that training never showed counts as one word of the vocabulary, <unknown>, whose probability is what is left to
the unseen. A document ends with an end mark, which is predicted too.
Shapes: T tokens of a document with its marks, V words with <unknown> and the end mark, K different n-grams of an order.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
UNKNOWN, END, BEGIN, WORDS = 0, 1, 2, 3  # ids of the marks; words from 3 on


@dataclass(frozen=True)
class Order:
    """The n-grams of one size. An n-gram's key is (place of its first n - 1 words among the shorter ones)·base + last word."""

    keys: Ints  # (K,) ascending
    discounted: Floats  # (K,) c - D(c)
    totals: Floats  # c(h) of each shorter n-gram, 0 where nothing follows
    left: Floats  # what the discounts leave for shorter contexts, of c(h), between 0 and 1

    def places(self, keys: Ints) -> Ints:
        """Where these n-grams stand, -1 for unseen ones."""
        found = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        return np.where((keys >= 0) & (self.keys[found] == keys), found, -1)


@dataclass(frozen=True)
class NGram:
    """A fitted n-gram model over words, or over whatever tokens it was given (ids of a tokenizer)."""

    vocabulary: dict[Hashable, int]
    orders: tuple[Order, ...]  # size 1 first

    @classmethod
    def fit(cls, documents: Iterable[Sequence[Hashable]], *, order: int = 3) -> NGram:
        """Count the n-grams of the training documents up to this size."""
        vocabulary: dict[Hashable, int] = {}
        rows = [marked([vocabulary.setdefault(token, len(vocabulary) + WORDS) for token in document]) for document in documents]
        return cls(vocabulary, counted(rows, len(vocabulary) + WORDS, order))

    @property
    def size(self) -> int:
        """V: the words, <unknown> and the end mark."""
        return len(self.vocabulary) + 2

    @property
    def size_bytes(self) -> int:
        """Of its counts and words."""
        arrays = sum(one.keys.nbytes + one.discounted.nbytes + one.totals.nbytes + one.left.nbytes for one in self.orders)
        return arrays + sum(len(str(word)) + 8 for word in self.vocabulary)

    def ids(self, document: Sequence[Hashable]) -> list[int]:
        """The model's own number of each token; 0 for unknown ones."""
        return [self.vocabulary.get(token, UNKNOWN) for token in document]

    def token_losses(self, document: Sequence[Hashable]) -> Floats:
        """-ln p of each token and of the end mark last (nats), (len(document) + 1,)."""
        return -np.log(self.follow(np.array(marked(self.ids(document)), dtype=np.int64)))

    def losses(self, documents: Iterable[Sequence[Hashable]], *, end: bool = True) -> Floats:
        """Summed -ln p of each document (nats), (M,); with `end` the end mark is one token more."""
        return np.array([self.token_losses(document)[:None if end else -1].sum() for document in documents], dtype=np.float64)

    def unknown(self, documents: Iterable[Sequence[Hashable]]) -> Ints:
        """How many tokens of each document are unknown, (M,): their surprise says little about them."""
        return np.array([self.ids(document).count(UNKNOWN) for document in documents], dtype=np.int64)

    def distribution(self, before: Sequence[Hashable]) -> Floats:
        """p of every word after these first tokens of a document, (V,): <unknown>, the end mark, then the words as first seen."""
        start = marked(self.ids(before))[:-1][-(len(self.orders) + 1):]
        every = [UNKNOWN, END, *range(WORDS, WORDS + len(self.vocabulary))]
        return np.array([self.follow(np.array([*start, word], dtype=np.int64))[-1] for word in every], dtype=np.float64)

    def follow(self, ids: Ints) -> Floats:
        """p of each token but the first, given those before it, (T - 1,): from single words to the longest context."""
        base = len(self.vocabulary) + WORDS
        probability = np.full(len(ids), 1 / self.size)
        context = np.zeros(len(ids), dtype=np.int64)  # place of the words before each token; a single word follows the empty context 0
        for order in self.orders:
            if not len(order.keys):  # no document is so long
                break
            safe = np.maximum(context, 0)
            total = np.where(context >= 0, order.totals[safe], 0.0)
            place = order.places(np.where(context >= 0, context * base + ids, -1))
            own = np.where(place >= 0, order.discounted[np.maximum(place, 0)], 0.0)
            mixed = own / np.where(total > 0, total, 1) + order.left[safe] * probability
            probability = np.where(total > 0, mixed, probability)
            # The n-gram that ends at a token is the context of the next one.
            context = np.concatenate([[-1], place[:-1]])
        return probability[1:]


def marked(ids: Sequence[int]) -> list[int]:
    """A document between its marks."""
    return [BEGIN, *ids, END]


def counted(rows: Sequence[Sequence[int]], base: int, order: int) -> tuple[Order, ...]:
    """The tables of every size from documents as ids."""
    ids = np.array([token for row in rows for token in row], dtype=np.int64)
    begins = ids == BEGIN
    prefix, places = np.zeros(len(ids), dtype=np.int64), []
    tables: list[tuple[Ints, Ints]] = []
    for _ in range(order):
        keys = np.where(prefix >= 0, prefix * base + ids, -1)
        kept, where = np.unique(keys[keys >= 0], return_inverse=True)
        place = np.full(len(ids), -1)
        place[keys >= 0] = where
        tables.append((kept, np.bincount(where, minlength=len(kept))))
        places.append(place)
        # No n-gram reaches over a document's begin: the one before a begin is no context of it.
        prefix = np.where(begins, -1, np.concatenate([[-1], place[:-1]])) if len(ids) else place
    made = []
    for size in range(order):
        counts = tables[size][1] if size == order - 1 else before(tables[size + 1][0], places[size], places[size + 1], tables[size][1])
        made.append(smoothed(tables[size][0], counts, base, len(tables[size - 1][0]) if size else 1))
    return tuple(made)


def before(longer: Ints, places: Ints, places_longer: Ints, occurrences: Ints) -> Ints:
    """How many different words stand before each n-gram; occurrences where it begins a document and nothing can."""
    first = np.full(len(longer), -1)
    there = places_longer >= 0
    first[places_longer[there]] = places[there]  # the n-gram that each longer one ends with
    counts = np.bincount(first, minlength=len(occurrences))
    found: Ints = np.where(counts > 0, counts, occurrences)
    return found


def smoothed(keys: Ints, counts: Ints, base: int, contexts: int) -> Order:
    """Discounts, totals and what is left to shorter contexts, for one size."""
    counts = np.where(keys % base == BEGIN, 0, counts)  # a begin is never predicted
    context = keys // base
    taken = np.array([0.0, *discounts(counts)])[np.minimum(counts, 3)]
    totals = np.bincount(context, weights=counts, minlength=contexts).astype(np.float64)
    freed = np.bincount(context, weights=taken, minlength=contexts)
    return Order(keys, counts - taken, totals, freed / np.where(totals > 0, totals, 1))


def discounts(counts: Ints) -> tuple[float, float, float]:
    """D1, D2, D3 as section 3 estimates them, by how many n-grams stand there once to four times.

    A corpus too small for them has one discount for all, n1 / (n1 + 2·n2) (Ney et al. 1994), or 1/2.
    """
    once, twice, thrice, four = (int((counts == number).sum()) for number in (1, 2, 3, 4))
    if not once or not twice:
        return (0.5,) * 3
    common = once / (once + 2 * twice)
    three = 3 - 4 * common * four / thrice if thrice else 0.0
    found = (common, 2 - 3 * common * thrice / twice, three)
    return found if all(0 < one <= number for number, one in enumerate(found, start=1)) else (common,) * 3
