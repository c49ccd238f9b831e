"""Near-duplicates among passages, found by MinHash and then compared in full.

Broder 1997, On the resemblance and containment of documents: the share of equal minima of hashes estimates the Jaccard
likeness of two sets. BANDS of ROWS minima each: two passages are compared where one band agrees in full, which of those
with a likeness of 0.9 happens to all but 2 of 10,000. N passages.
"""

from __future__ import annotations

import functools
import re
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

WORD = re.compile(r"\w+")
SHINGLE = 3  # words in a row
BANDS, ROWS = 8, 4
MARGIN = 0.15  # of the estimate by minima, which is off by 0.05 or so; likelier pairs are compared in full
COMPARED = 64  # different passages of one bucket that each further one is compared with
_DRAW = np.random.default_rng(20_200_503)
FACTORS = _DRAW.integers(1 << 62, 1 << 63, (BANDS * ROWS, 1), dtype=np.uint64) | np.uint64(1)
SHIFTS = _DRAW.integers(0, 1 << 63, (BANDS * ROWS, 1), dtype=np.uint64)


def shingles(text: str) -> set[int]:
    """Hashes of the triples of words in a row; of all words where there are fewer."""
    words = [word.encode("utf-8", "surrogatepass") for word in WORD.findall(text.lower())]
    if len(words) <= SHINGLE:
        return {zlib.crc32(b" ".join(words))}
    return {zlib.crc32(b"%b %b %b" % three) for three in zip(words, words[1:], words[2:], strict=False)}


def signature(text: str) -> NDArray[np.uint32]:
    """The minima of the hashes of a text, (BANDS * ROWS,)."""
    held = np.fromiter(shingles(text), dtype=np.uint64)
    # Multiply and shift (Dietzfelbinger and others 1997): the upper half of an odd factor times the hash, modulo 2^64.
    found: NDArray[np.uint32] = ((held[None, :] * FACTORS + SHIFTS) >> np.uint64(32)).min(axis=1).astype(np.uint32)
    return found


def likeness(first: set[int], second: set[int]) -> float:
    """The Jaccard likeness of two sets, 0 to 1."""
    common = len(first & second)
    return common / (len(first) + len(second) - common)


def folds(signatures: NDArray[np.uint32], text: Callable[[int], str], threshold: float) -> NDArray[np.int64]:
    """The passage that each one is folded into, itself where it is kept: (N, BANDS * ROWS) -> (N,); always an earlier one."""
    into = np.arange(len(signatures), dtype=np.int64)
    words = functools.lru_cache(maxsize=1024)(lambda row: shingles(text(row)))
    for band in range(BANDS):
        for group in buckets(keys(signatures, band)):
            held: list[int] = []
            for row in group.tolist():
                if into[row] != row:
                    continue
                near = next((other for other in promising(signatures, row, held, band, threshold)
                             if likeness(words(row), words(other)) >= threshold), None)
                if near is not None:
                    into[row] = near
                elif len(held) < COMPARED:
                    held.append(row)
    while (further := into[into] != into).any():
        into[further] = into[into[further]]
    return into


def promising(signatures: NDArray[np.uint32], row: int, held: list[int], band: int, threshold: float) -> list[int]:
    """Those that a passage may be as like as the threshold, and that no earlier band has compared it with."""
    if not held:
        return []
    equal = signatures[held] == signatures[row]
    known = equal[:, :band * ROWS].reshape(len(held), band, ROWS).all(axis=2).any(axis=1)
    wanted = (equal.mean(axis=1) >= threshold - MARGIN) & ~known
    return [other for other, fits in zip(held, wanted.tolist(), strict=True) if fits]


def keys(signatures: NDArray[np.uint32], band: int) -> NDArray[np.uint64]:
    """A number for each passage that is the same where all minima of a band are, (N,)."""
    found = np.zeros(len(signatures), dtype=np.uint64)
    for place in range(band * ROWS, (band + 1) * ROWS):
        found = (found ^ signatures[:, place]) * np.uint64(0x9E3779B97F4A7C15)
        found ^= found >> np.uint64(29)
    return found


def buckets(numbers: NDArray[Any]) -> Iterator[NDArray[np.int64]]:
    """The places of numbers that stand more than once, ascending within each."""
    order = np.argsort(numbers, kind="stable")
    held = numbers[order]
    starts = np.flatnonzero(np.concatenate([[True], held[1:] != held[:-1]])) if len(held) else np.zeros(0, dtype=np.int64)
    sizes = np.diff(np.append(starts, len(held)))
    for start, size in zip(starts[sizes > 1].tolist(), sizes[sizes > 1].tolist(), strict=True):
        yield order[start:start + size]
