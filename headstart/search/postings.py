"""BM25's table made from stored words, a block of texts at a time: what bm25s would make, with little memory.

N texts, V different words, P pairs of a text and a word that it holds.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.search.sparse import K1, B, library

BLOCK = 20_000  # texts
DATA, INDICES, INDPTR = "data.csc.index.npy", "indices.csc.index.npy", "indptr.csc.index.npy"  # bm25s's own names


def write_postings(folder: Path, words: NDArray[Any], borders: NDArray[np.int64], vocabulary: Mapping[str, int], *,
                   k1: float = K1, b: float = B) -> None:
    """Write a folder that Sparse.load reads; `words` are those of all texts, one after the other, by number.

    Text n holds words[borders[n]:borders[n + 1]].
    """
    folder.mkdir(parents=True, exist_ok=True)
    count, lengths = len(borders) - 1, np.diff(borders)
    spread = np.zeros(len(vocabulary), dtype=np.int64)  # (V,) texts that hold each word
    for _, held, _ in pairs(words, borders, len(vocabulary)):
        spread += np.bincount(held, minlength=len(vocabulary))
    begins = np.concatenate([[0], np.cumsum(spread)])
    np.save(folder / INDPTR, begins)
    rare = np.asarray([math.log(1 + (count - held + 0.5) / (held + 0.5)) if held else 0.0 for held in spread.tolist()], dtype=np.float32)
    mean = lengths.mean() if count else 1.0
    data, indices = (made(folder / name, kind, int(begins[-1])) for name, kind in ((DATA, np.float32), (INDICES, np.int32)))
    free = begins[:-1].copy()  # where the next text of each word goes
    for rows, held, times in pairs(words, borders, len(vocabulary)):
        often = times.astype(np.float32)
        scores = rare[held] * (often / (k1 * ((1 - b) + b * lengths[rows] / mean) + often))
        order = np.argsort(held, kind="stable")
        own = held[order]
        starts = np.flatnonzero(np.concatenate([[True], own[1:] != own[:-1]]))
        sizes = np.diff(np.append(starts, len(own)))
        places = free[own] + np.arange(len(own)) - np.repeat(starts, sizes)
        data[places], indices[places] = scores[order], rows[order]
        free[own[starts]] += sizes
    for table in (data, indices):
        getattr(table, "flush", int)()
    (folder / "vocab.index.json").write_text(json.dumps(vocabulary, ensure_ascii=False), encoding="utf-8")
    kept = {"k1": k1, "b": b, "delta": 0.5, "method": "lucene", "idf_method": "lucene", "dtype": "float32", "int_dtype": "int32",
            "num_docs": count, "version": library().__version__, "backend": "numpy"}
    (folder / "params.index.json").write_text(json.dumps(kept, indent=4), encoding="utf-8")


def made(path: Path, kind: Any, size: int) -> Any:
    """A new table on the disk; an empty one cannot be mapped and is written at once."""
    if not size:
        np.save(path, np.zeros(0, dtype=kind))
        return np.zeros(0, dtype=kind)
    return np.lib.format.open_memmap(path, mode="w+", dtype=kind, shape=(size,))


def pairs(words: NDArray[Any], borders: NDArray[np.int64], size: int) -> Iterator[tuple[NDArray[Any], NDArray[Any], NDArray[Any]]]:
    """Texts, the different words of each, and how often they stand there, a block at a time: (P,), (P,), (P,)."""
    for first in range(0, len(borders) - 1, BLOCK):
        last = min(len(borders) - 1, first + BLOCK)
        begin, end = int(borders[first]), int(borders[last])
        if begin == end:
            continue
        rows = np.repeat(np.arange(first, last, dtype=np.int64), np.diff(borders[first:last + 1]))
        keys, times = np.unique(rows * size + np.asarray(words[begin:end], dtype=np.int64), return_counts=True)
        yield keys // size, keys % size, times
