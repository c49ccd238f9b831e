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
from headstart.files import staged_path
from headstart.search.hits import Hits, stack_hits, top_k

BLOCK = 2048  # rows that are widened to float32 at a time: they fit into a processor's cache
CHUNK = 65_536  # rows whose products are kept until their best are chosen
QUERIES = 256  # queries at a time


def write_vectors(path: Path, blocks: Iterable[NDArray[Any]], *, rows: int, width: int,
                  normalise: bool = False) -> None:
    """Write vectors that come in blocks (n, W), N together; with `normalise` each is made 1 long, so that products are
    cosines.

    The file appears when it is whole. Raises UserError (65) for what float16 cannot hold.
    """
    with staged_path(path) as staging:
        fill_table(np.lib.format.open_memmap(staging, mode="w+", dtype=np.float16, shape=(rows, width)), blocks,
                   normalise)


def quantize_int8(vectors: NDArray[Any]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Vectors quantized to int8, -127 to 127, and the scale of each: (n, W) -> (n, W), (n,)."""
    floats = np.asarray(vectors, dtype=np.float32)
    scales = (np.abs(floats).max(axis=1) / 127).astype(np.float32)
    return np.rint(floats / np.maximum(scales, 1e-30)[:, None]).astype(np.int8), scales


def fill_table(table: Any, blocks: Iterable[NDArray[Any]], normalise: bool) -> None:
    """Put the blocks into a table on the disk, in order; they must fill it."""
    row = 0
    for block in blocks:
        floats = np.asarray(block, dtype=np.float32)
        if normalise:
            floats = floats / np.maximum(np.linalg.norm(floats, axis=1, keepdims=True), 1e-12)
        overflows = ~(np.abs(floats) <= np.finfo(np.float16).max).all(axis=1)
        if overflows.any():
            raise UserError(f"A vector needs numbers up to 65,504 in size, but row {row + int(overflows.argmax())} has "
                            "others (or NaN).",
                            fix="Make the vectors 1 long, or look for what went wrong in that row's text.",
                            exit=Exit.DATA)
        assert row + len(floats) <= len(table), f"more than {len(table)} vectors came"
        table[row:row + len(floats)] = floats
        row += len(floats)
    assert row == len(table), f"{row} of {len(table)} vectors came"
    table.flush()


@dataclass(frozen=True)
class DenseIndex:
    """Vectors on the disk: (N, W) float16, or int8 with a scale (N,) float32 for each row."""

    table: NDArray[Any]
    scales: NDArray[np.float32] | None = None

    @classmethod
    def open(cls, path: Path, scales_path: Path | None = None) -> DenseIndex:
        """The vectors of a file; they are read when they are searched. Raises UserError (66, 65)."""
        try:
            # Copy on write: torch wants an array that could be written; the file never is.
            table = np.load(path, mmap_mode="c", allow_pickle=False)
            scales = None if scales_path is None else np.load(scales_path, allow_pickle=False)
        except FileNotFoundError:
            raise UserError(f"There are no vectors in {path}.", fix="Build the index first.",
                            exit=Exit.NO_INPUT) from None
        except (ValueError, OSError, EOFError) as error:
            raise UserError(f"{path} is not a file of vectors ({error}).", fix="Build the index again.",
                            exit=Exit.DATA) from None
        dtype = np.float16 if scales_path is None else np.int8
        if table.ndim != 2 or table.dtype != dtype or (scales is not None and scales.shape != table.shape[:1]):
            raise UserError(f"{path} should hold a table of {np.dtype(dtype)}, but has {table.dtype} in shape "
                            f"{table.shape}.",
                            fix="Build the index again.", exit=Exit.DATA)
        return cls(table, scales)

    def search(self, queries: NDArray[Any], *, k: int) -> Hits:
        """The k rows with the largest dot products with each query, (Q, W) -> (Q, min(k, N))."""
        row_count, width = self.table.shape
        vectors = np.atleast_2d(np.asarray(queries, dtype=np.float32))
        if vectors.shape[1] != width:
            raise UserError(f"The vectors are {width} wide, but the query is {vectors.shape[1]} wide.",
                            fix="Search with the model that the index was built with.", exit=Exit.DATA)
        if not np.isfinite(vectors).all():
            raise UserError("A query's vector holds numbers that are none (NaN or infinite).",
                            fix="Look for what went wrong in its text or in the model.", exit=Exit.DATA)
        results = [hits for start in range(0, len(vectors), QUERIES)
                   for hits in self.search_batch(vectors[start:start + QUERIES], k)]
        return stack_hits(results, min(k, row_count))

    def search_batch(self, queries: NDArray[np.float32], k: int) -> list[tuple[NDArray[np.int64], NDArray[Any]]]:
        """The k best rows of a few queries."""
        chunk_hits: list[list[tuple[NDArray[np.int64], NDArray[Any]]]] = [[] for _ in queries]
        for start in range(0, len(self.table), CHUNK):
            for query, scores in enumerate(self.dot_products(queries, start, min(len(self.table), start + CHUNK))):
                chunk_hits[query].append(top_k(scores, k, first_row=start))
        return [merge_hits(hits, k) for hits in chunk_hits]

    def dot_products(self, queries: NDArray[np.float32], start: int, end: int) -> NDArray[np.float32]:
        """Every query's dot products with these rows, (Q, end - begin)."""
        import torch

        buffer = torch.empty(min(BLOCK, end - start), self.table.shape[1])
        transposed = torch.from_numpy(np.ascontiguousarray(queries)).T
        products = torch.empty(end - start, len(queries))
        for block_start in range(start, end, BLOCK):
            block_end = min(end, block_start + BLOCK)
            block = buffer[:block_end - block_start].copy_(torch.from_numpy(self.table[block_start:block_end]))
            torch.mm(block, transposed, out=products[block_start - start:block_end - start])
        if self.scales is not None:
            products *= torch.from_numpy(self.scales[start:end])[:, None]
        by_query: NDArray[np.float32] = products.T.contiguous().numpy()
        return by_query


def merge_hits(chunk_hits: list[tuple[NDArray[np.int64], NDArray[Any]]], k: int) -> tuple[NDArray[np.int64],
                                                                                          NDArray[Any]]:
    """The k best of what was found in each chunk of rows."""
    if not chunk_hits:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.float32)
    rows, scores = (np.concatenate([hits[column] for hits in chunk_hits]) for column in (0, 1))
    order = np.lexsort((rows, -scores))[:k]
    return rows[order], scores[order]
