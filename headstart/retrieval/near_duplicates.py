"""Near-duplicates among passages, found by MinHash and then compared in full.

Broder 1997, On the resemblance and containment of documents: the share of equal minima of hashes estimates the Jaccard
likeness of two sets. BANDS of ROWS minima each: two passages are compared where one band agrees in full, which of those
with a likeness of 0.9 happens to all but 2 of 10,000. N passages.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.text.normalise import normalised

SHINGLE = 3  # words
BANDS, ROWS = 8, 4
COMPARED = 8  # different passages of one bucket that each further one is compared with
_DRAW = np.random.default_rng(20_200_503)
FACTORS = _DRAW.integers(1, 1 << 32, (BANDS * ROWS, 1), dtype=np.uint64) | np.uint64(1)
SHIFTS = _DRAW.integers(0, 1 << 63, (BANDS * ROWS, 1), dtype=np.uint64)


def shingles(text: str) -> set[int]:
    """Hashes of the triples of words in a row; of all words where there are fewer."""
    words = normalised(text).encode("utf-8", "surrogatepass").split()
    if len(words) <= SHINGLE:
        return {zlib.crc32(b" ".join(words))}
    return {zlib.crc32(b" ".join(words[at:at + SHINGLE])) for at in range(len(words) - SHINGLE + 1)}


def signature(text: str) -> NDArray[np.uint64]:
    """A number for each band, (BANDS,): near-duplicates agree in one at least."""
    held = np.fromiter(shingles(text), dtype=np.uint64)
    # Multiply and shift (Dietzfelbinger and others 1997): the upper half of an odd factor times the hash, modulo 2^64.
    minima = ((held[None, :] * FACTORS + SHIFTS) >> np.uint64(32)).min(axis=1).reshape(BANDS, ROWS)  # (BANDS, ROWS)
    mixed = np.zeros(BANDS, dtype=np.uint64)
    for row in range(ROWS):
        mixed = (mixed ^ minima[:, row]) * np.uint64(0x9E3779B97F4A7C15)
        mixed ^= mixed >> np.uint64(29)
    return mixed


def likeness(first: set[int], second: set[int]) -> float:
    """The Jaccard likeness of two sets, 0 to 1."""
    common = len(first & second)
    return common / (len(first) + len(second) - common)


def folds(signatures: NDArray[np.uint64], text: Callable[[int], str], threshold: float) -> NDArray[np.int64]:
    """The passage that each one is folded into, itself where it is kept: (N, BANDS) -> (N,); always an earlier one."""
    into = np.arange(len(signatures), dtype=np.int64)
    for band in range(signatures.shape[1]):
        for group in buckets(np.asarray(signatures[:, band])):
            held: list[tuple[int, set[int]]] = []
            for row in group.tolist():
                if into[row] != row:
                    continue
                own = shingles(text(row))
                near = next((other for other, words in held if likeness(own, words) >= threshold), None)
                if near is not None:
                    into[row] = near
                elif len(held) < COMPARED:
                    held.append((row, own))
    while (further := into[into] != into).any():
        into[further] = into[into[further]]
    return into


def buckets(keys: NDArray[Any]) -> Iterator[NDArray[np.int64]]:
    """The places of keys that stand more than once, ascending within each."""
    order = np.argsort(keys, kind="stable")
    held = keys[order]
    starts = np.flatnonzero(np.concatenate([[True], held[1:] != held[:-1]])) if len(held) else np.zeros(0, dtype=np.int64)
    sizes = np.diff(np.append(starts, len(held)))
    for start, size in zip(starts[sizes > 1].tolist(), sizes[sizes > 1].tolist(), strict=True):
        yield order[start:start + size]
