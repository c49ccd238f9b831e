"""Exact search among vectors: every dot product, in blocks over a float16 (or int8) matrix that stays on the disk.

N rows, W width, Q queries, K rows found of each. The file is a plain .npy; the products are float32.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.errors import Exit, UserError
from headstart.search.hits import Hits, best, gathered

BLOCK = 2048  # rows that are widened to float32 at a time: they fit into a processor's cache
CHUNK = 65_536  # rows whose products are kept until their best are chosen
QUERIES = 256  # queries at a time


def write_vectors(path: Path, blocks: Iterable[NDArray[Any]], *, rows: int, width: int, normalise: bool = False) -> None:
    """Write vectors that come in blocks (n, W), N together; with `normalise` each is made 1 long, so that products are cosines.

    The file appears when it is whole. Raises UserError (65) for what float16 cannot hold.
    """
    part = path.with_name(path.name + ".part")
    try:
        fill(np.lib.format.open_memmap(part, mode="w+", dtype=np.float16, shape=(rows, width)), blocks, normalise)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def as_bytes(vectors: NDArray[Any]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Vectors as whole numbers from -127 to 127 and the scale of each: (n, W) -> (n, W), (n,)."""
    made = np.asarray(vectors, dtype=np.float32)
    scales = (np.abs(made).max(axis=1) / 127).astype(np.float32)
    return np.rint(made / np.maximum(scales, 1e-30)[:, None]).astype(np.int8), scales


def fill(table: Any, blocks: Iterable[NDArray[Any]], normalise: bool) -> None:
    """Put the blocks into a table on the disk, in order; they must fill it."""
    at = 0
    for block in blocks:
        made = np.asarray(block, dtype=np.float32)
        if normalise:
            made = made / np.maximum(np.linalg.norm(made, axis=1, keepdims=True), 1e-12)
        wrong = ~(np.abs(made) <= np.finfo(np.float16).max).all(axis=1)
        if wrong.any():
            raise UserError(f"A vector needs numbers up to 65,504 in size, but row {at + int(wrong.argmax())} has others (or NaN).",
                            fix="Make the vectors 1 long, or look for what went wrong in that row's text.", exit=Exit.DATA)
        assert at + len(made) <= len(table), f"more than {len(table)} vectors came"
        table[at:at + len(made)] = made
        at += len(made)
    assert at == len(table), f"{at} of {len(table)} vectors came"
    table.flush()


@dataclass(frozen=True)
class Dense:
    """Vectors on the disk: (N, W) float16, or int8 that each row's scale (N,) float32 makes numbers again."""

    table: NDArray[Any]
    scales: NDArray[np.float32] | None = None

    @classmethod
    def open(cls, path: Path, scales: Path | None = None) -> Dense:
        """The vectors of a file; they are read when they are searched. Raises UserError (66, 65)."""
        try:
            # Copy on write: torch wants an array that could be written; the file never is.
            table = np.load(path, mmap_mode="c", allow_pickle=False)
            held = None if scales is None else np.load(scales, allow_pickle=False)
        except FileNotFoundError:
            raise UserError(f"There are no vectors in {path}.", fix="Build the index first.", exit=Exit.NO_INPUT) from None
        except (ValueError, OSError, EOFError) as error:
            raise UserError(f"{path} is no file of vectors ({error}).", fix="Build the index again.", exit=Exit.DATA) from None
        wanted = np.float16 if scales is None else np.int8
        if table.ndim != 2 or table.dtype != wanted or (held is not None and held.shape != table.shape[:1]):
            raise UserError(f"{path} should hold a table of {np.dtype(wanted)}, but has {table.dtype} in shape {table.shape}.",
                            fix="Build the index again.", exit=Exit.DATA)
        return cls(table, held)

    def search(self, queries: NDArray[Any], *, k: int) -> Hits:
        """The k rows with the largest dot products with each query, (Q, W) -> (Q, min(k, N))."""
        rows, width = self.table.shape
        asked = np.atleast_2d(np.asarray(queries, dtype=np.float32))
        if asked.shape[1] != width:
            raise UserError(f"The vectors are {width} wide, but the query is {asked.shape[1]} wide.",
                            fix="Search with the model that the index was built with.", exit=Exit.DATA)
        if not np.isfinite(asked).all():
            raise UserError("A query's vector holds numbers that are none (NaN or infinite).",
                            fix="Look for what went wrong in its text or in the model.", exit=Exit.DATA)
        found = [one for begin in range(0, len(asked), QUERIES) for one in self.some(asked[begin:begin + QUERIES], k)]
        return gathered(found, min(k, rows))

    def some(self, queries: NDArray[np.float32], k: int) -> list[tuple[NDArray[np.int64], NDArray[Any]]]:
        """The best rows of a few queries."""
        held: list[list[tuple[NDArray[np.int64], NDArray[Any]]]] = [[] for _ in queries]
        for begin in range(0, len(self.table), CHUNK):
            for number, scores in enumerate(self.products(queries, begin, min(len(self.table), begin + CHUNK))):
                held[number].append(best(scores, k, first=begin))
        return [merged(parts, k) for parts in held]

    def products(self, queries: NDArray[np.float32], begin: int, end: int) -> NDArray[np.float32]:
        """Every query's dot products with these rows, (Q, end - begin)."""
        import torch

        wide = torch.empty(min(BLOCK, end - begin), self.table.shape[1])
        turned = torch.from_numpy(np.ascontiguousarray(queries)).T
        made = torch.empty(end - begin, len(queries))
        for at in range(begin, end, BLOCK):
            last = min(end, at + BLOCK)
            block = wide[:last - at].copy_(torch.from_numpy(self.table[at:last]))
            torch.mm(block, turned, out=made[at - begin:last - begin])
        if self.scales is not None:
            made *= torch.from_numpy(self.scales[begin:end])[:, None]
        found: NDArray[np.float32] = made.T.contiguous().numpy()
        return found


def merged(parts: list[tuple[NDArray[np.int64], NDArray[Any]]], k: int) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """The best of what each part found."""
    if not parts:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.float32)
    rows, scores = (np.concatenate([part[side] for part in parts]) for side in (0, 1))
    order = np.lexsort((rows, -scores))[:k]
    return rows[order], scores[order]
