"""Near duplicates among passages, found by MinHash and then compared in full.

Broder 1997, On the resemblance and containment of documents: the share of equal minima of hashes estimates the Jaccard
similarity of two sets. BANDS of ROWS minima each: two passages are compared where one band agrees in full, which of
those with a similarity of 0.9 happens to all but 2 of 10,000. N passages.
"""

from __future__ import annotations

import functools
import re
import zlib
from collections.abc import Callable, Iterator, Set
from typing import Any

import numpy as np
from numpy.typing import NDArray

WORD = re.compile(r"\w+")
SHINGLE = 3  # words in a row
BANDS, ROWS = 8, 4
MARGIN = 0.15  # of the estimate by minima, which is off by 0.05 or so; likelier pairs are compared in full
MAX_COMPARED = 64  # different passages of one bucket that each further one is compared with
_RANDOM = np.random.default_rng(20_200_503)
FACTORS = _RANDOM.integers(1 << 62, 1 << 63, (BANDS * ROWS, 1), dtype=np.uint64) | np.uint64(1)
SHIFTS = _RANDOM.integers(0, 1 << 63, (BANDS * ROWS, 1), dtype=np.uint64)


def shingles(text: str) -> set[int]:
    """Hashes of the triples of words in a row; of all words where there are fewer."""
    words = [word.encode("utf-8", "surrogatepass") for word in WORD.findall(text.lower())]
    if len(words) <= SHINGLE:
        return {zlib.crc32(b" ".join(words))}
    return {zlib.crc32(b"%b %b %b" % triple) for triple in zip(words, words[1:], words[2:], strict=False)}


def signature(text: str) -> NDArray[np.uint32]:
    """The minima of the hashes of a text, (BANDS * ROWS,)."""
    hashes = np.fromiter(shingles(text), dtype=np.uint64)
    # Multiply and shift (Dietzfelbinger and others 1997): the upper half of an odd factor times the hash, modulo 2^64.
    minima: NDArray[np.uint32] = ((hashes[None, :] * FACTORS + SHIFTS) >> np.uint64(32)).min(axis=1).astype(np.uint32)
    return minima


def jaccard(first: Set[Any], second: Set[Any]) -> float:
    """The Jaccard similarity of two sets, 0 to 1: shared / all, 0 where both are empty."""
    common = len(first & second)
    total = len(first) + len(second) - common
    return common / total if total else 0.0


def representatives(signatures: NDArray[np.uint32], text: Callable[[int], str], threshold: float) -> NDArray[np.int64]:
    """The row of the passage that each one is folded into, its own where it is kept: (N, BANDS * ROWS) -> (N,); never a
    later one.
    """
    representative = np.arange(len(signatures), dtype=np.int64)
    cached_shingles = functools.lru_cache(maxsize=1024)(lambda row: shingles(text(row)))
    for band in range(BANDS):
        for bucket in buckets(band_keys(signatures, band)):
            compared: list[int] = []
            for row in bucket.tolist():
                if representative[row] != row:
                    continue
                duplicate = next((candidate for candidate in candidates(signatures, row, compared, band, threshold)
                                  if jaccard(cached_shingles(row), cached_shingles(candidate)) >= threshold), None)
                if duplicate is not None:
                    representative[row] = duplicate
                elif len(compared) < MAX_COMPARED:
                    compared.append(row)
    while (chained := representative[representative] != representative).any():
        representative[chained] = representative[representative[chained]]
    return representative


def candidates(signatures: NDArray[np.uint32], row: int, compared: list[int], band: int, threshold: float) -> list[int]:
    """The compared rows that a row may be as similar to as the threshold, and that no earlier band has compared it
    with.
    """
    if not compared:
        return []
    equal_minima = signatures[compared] == signatures[row]
    seen_before = equal_minima[:, :band * ROWS].reshape(len(compared), band, ROWS).all(axis=2).any(axis=1)
    likely = (equal_minima.mean(axis=1) >= threshold - MARGIN) & ~seen_before
    return [candidate for candidate, is_likely in zip(compared, likely.tolist(), strict=True) if is_likely]


def band_keys(signatures: NDArray[np.uint32], band: int) -> NDArray[np.uint64]:
    """A hash for each passage that is the same where all minima of a band are, (N,)."""
    hashes = np.zeros(len(signatures), dtype=np.uint64)
    for column in range(band * ROWS, (band + 1) * ROWS):
        hashes = (hashes ^ signatures[:, column]) * np.uint64(0x9E3779B97F4A7C15)
        hashes ^= hashes >> np.uint64(29)
    return hashes


def buckets(keys: NDArray[Any]) -> Iterator[NDArray[np.int64]]:
    """The rows of each key that stands more than once, ascending."""
    order = np.argsort(keys, kind="stable")
    sorted_keys = keys[order]
    is_start = np.concatenate([[True], sorted_keys[1:] != sorted_keys[:-1]])[:len(sorted_keys)]
    starts = np.flatnonzero(is_start)
    counts = np.diff(np.append(starts, len(sorted_keys)))
    for start, count in zip(starts[counts > 1].tolist(), counts[counts > 1].tolist(), strict=True):
        yield order[start:start + count]
