"""BM25's postings built from stored word ids, a block of texts at a time: what bm25s would build, with little memory.

N texts, V words of the vocabulary, P pairs of a text and a word in it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.files import reserve
from headstart.search.sparse import K1, B, import_bm25s

BLOCK = 20_000  # texts
DATA, INDICES, INDPTR = "data.csc.index.npy", "indices.csc.index.npy", "indptr.csc.index.npy"  # bm25s's own names


def write_postings(folder: Path, word_ids: NDArray[Any], offsets: NDArray[np.int64], vocabulary: Mapping[str, int], *,
                   k1: float = K1, b: float = B) -> None:
    """Write a folder that SparseIndex.load reads; `word_ids` are those of all texts, one after the other.

    Text n holds word_ids[offsets[n]:offsets[n + 1]].
    """
    folder.mkdir(parents=True, exist_ok=True)
    text_count, lengths = len(offsets) - 1, np.diff(offsets)
    document_frequencies = np.zeros(len(vocabulary), dtype=np.int64)  # (V,) texts that hold each word
    for _, words, _ in word_counts(word_ids, offsets, len(vocabulary)):
        document_frequencies += np.bincount(words, minlength=len(vocabulary))
    column_starts = np.concatenate([[0], np.cumsum(document_frequencies)])
    np.save(folder / INDPTR, column_starts)
    idf = np.asarray([math.log(1 + (text_count - frequency + 0.5) / (frequency + 0.5)) if frequency else 0.0
                      for frequency in document_frequencies.tolist()], dtype=np.float32)
    mean_length = lengths.mean() if text_count else 1.0
    pair_count = int(column_starts[-1])  # P
    data, indices = (create_array(folder / name, dtype, pair_count)
                     for name, dtype in ((DATA, np.float32), (INDICES, np.int32)))
    next_positions = column_starts[:-1].copy()  # where the next text of each word goes
    for rows, words, counts in word_counts(word_ids, offsets, len(vocabulary)):
        term_frequencies = counts.astype(np.float32)
        scores = idf[words] * (term_frequencies / (k1 * ((1 - b) + b * lengths[rows] / mean_length) + term_frequencies))
        order = np.argsort(words, kind="stable")
        sorted_words = words[order]
        group_starts = np.flatnonzero(np.concatenate([[True], sorted_words[1:] != sorted_words[:-1]]))
        group_sizes = np.diff(np.append(group_starts, len(sorted_words)))
        positions = next_positions[sorted_words] + np.arange(len(sorted_words)) - np.repeat(group_starts, group_sizes)
        data[positions], indices[positions] = scores[order], rows[order]
        next_positions[sorted_words[group_starts]] += group_sizes
    for table in (data, indices):
        getattr(table, "flush", int)()
    (folder / "vocab.index.json").write_text(json.dumps(vocabulary, ensure_ascii=False), encoding="utf-8")
    parameters = {"k1": k1, "b": b, "delta": 0.5, "method": "lucene", "idf_method": "lucene", "dtype": "float32",
                  "int_dtype": "int32",
                  "num_docs": text_count, "version": import_bm25s().__version__, "backend": "numpy"}
    (folder / "params.index.json").write_text(json.dumps(parameters, indent=4), encoding="utf-8")


def create_array(path: Path, dtype: Any, size: int) -> Any:
    """A new array on the disk; an empty one cannot be mapped and is written at once."""
    if not size:
        np.save(path, np.zeros(0, dtype=dtype))
        return np.zeros(0, dtype=dtype)
    table = np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=(size,))
    reserve(path)
    return table


def word_counts(word_ids: NDArray[Any], offsets: NDArray[np.int64],
                vocabulary_size: int) -> Iterator[tuple[NDArray[Any], NDArray[Any], NDArray[Any]]]:
    """Texts, the different words of each, and their counts, a block at a time: (P,), (P,), (P,)."""
    for first_text in range(0, len(offsets) - 1, BLOCK):
        last_text = min(len(offsets) - 1, first_text + BLOCK)
        start, end = int(offsets[first_text]), int(offsets[last_text])
        if start == end:
            continue
        rows = np.repeat(np.arange(first_text, last_text, dtype=np.int64), np.diff(offsets[first_text:last_text + 1]))
        keys, counts = np.unique(rows * vocabulary_size + np.asarray(word_ids[start:end], dtype=np.int64),
                                 return_counts=True)
        yield keys // vocabulary_size, keys % vocabulary_size, counts
