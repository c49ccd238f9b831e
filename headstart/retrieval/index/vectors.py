"""The vectors of an index: made once, journaled as they come, assembled at the end.

N passages, W width. What is ready is kept in the journal, a file of hashes and vectors for every CHUNK of texts; a
build that was cut off finds it there and goes on with the next chunk, so that its vectors are bit for bit those of one
that was not.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from headstart.artifacts.metadata import model_folder
from headstart.errors import Exit, UserError
from headstart.files import reserve, sha256, staged_file
from headstart.models.loading.model_info import model_info
from headstart.prediction.embed import embed_chunk
from headstart.prediction.embed_file import load_headless
from headstart.prediction.predictor import PREDICTION_CHUNK
from headstart.prediction.processes import Sharing, check_folder, check_model, part_results, worker_device
from headstart.retrieval.index.storage import HashLookup
from headstart.search.dense import quantize_int8

if TYPE_CHECKING:
    from headstart.models.model import Model

VECTORS, SCALES = "vectors.npy", "scales.npy"
BLOCK = 65_536  # rows that are copied at a time
TOKENIZER_FILES = ("config.json", "tokenizer.json", "vocab.txt", "vocab.json", "merges.txt", "spiece.model",
                   "sentencepiece.bpe.model",
            "tokenizer_config.json")


def fingerprint(reference: str, *, allow_pickle: bool = False) -> dict[str, Any]:
    """A model as an index names it: reference (a folder by its whole path), hash of weights, config and tokenizer,
    width.
    """
    info = model_info(model_folder(reference), allow_pickle=allow_pickle)
    digest = hashlib.sha256()
    for file in [*info.files, *(info.folder / name for name in TOKENIZER_FILES)]:
        if file.is_file():
            digest.update(f"{file.name} {sha256(file)}\n".encode())
    full_reference = str(Path(reference).resolve()) if Path(reference).exists() else reference
    return {"reference": full_reference, "sha256": digest.hexdigest(), "width": info.width}


class VectorJournal:
    """Vectors that are ready, (n, W) float16 a file, each under the hash of its text."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        for file in folder.glob(".*.part"):
            file.unlink()
        self.files = sorted(folder.glob("*.npy"))
        self.hashes = [self.read(number)[0] for number in range(len(self.files))]

    def read(self, index: int) -> tuple[NDArray[np.int64], NDArray[np.float16]]:
        """Hashes and vectors of one file."""
        with self.files[index].open("rb") as file:
            return np.load(file, allow_pickle=False), np.load(file, allow_pickle=False)

    def all_hashes(self) -> NDArray[np.int64]:
        """The hashes of all texts whose vectors are in the journal."""
        return np.concatenate([np.zeros(0, dtype=np.int64), *self.hashes])

    def write(self, hashes: NDArray[np.int64], vectors: NDArray[np.float16]) -> None:
        """One more file, whole or not there."""
        path = self.folder / f"{len(self.files):06}.npy"
        with staged_file(path, "wb") as file:
            np.save(file, hashes)
            np.save(file, vectors)
        self.files.append(path)
        self.hashes.append(hashes)


@dataclass(frozen=True)
class PassageWork:
    """What makes vectors of passages, here or in another process: a headless model that is loaded there."""

    reference: str
    device: str
    allow_pickle: bool
    precision: str
    batch_tokens: int
    sha256: str  # of the model's fingerprint, as index.json will say

    def open(self, number: int) -> Callable[[Sequence[str]], tuple[Any, int]]:
        """What gives the vectors of some texts, (n, W) float16, and about how many tokens they have; raises UserError,
        also (69) where the model is no longer the one that the build began with.
        """
        check_folder(self.reference)
        model = load_headless(self.reference, device=worker_device(self.device, number),
                              allow_pickle=self.allow_pickle, precision=self.precision)
        check_model(self.reference, fingerprint(self.reference, allow_pickle=self.allow_pickle)["sha256"], self.sha256)
        return partial(passage_vectors, model, self.batch_tokens)

    def open_when_needed(self, begin: Callable[[], None]) -> Callable[[Sequence[str]], tuple[Any, int]]:
        """The same in this process, where the model is loaded for the first texts; `begin` is called once it is."""
        @cache
        def opened_work() -> Callable[[Sequence[str]], tuple[Any, int]]:
            embed_texts = self.open(0)
            begin()
            return embed_texts

        return lambda texts: opened_work()(texts)


def passage_vectors(model: Model, batch_tokens: int, texts: Sequence[str]) -> tuple[Any, int]:
    """Vectors of some texts, (n, W) float16, and about how many tokens they have; raises UserError (65)."""
    vectors = embed_chunk(model, texts, pool="mean", normalise=True, batch_tokens=batch_tokens)
    if (non_finite := ~np.isfinite(vectors).all(axis=1)).any():
        raise UserError(f"The model gives no number for a text: {texts[int(non_finite.argmax())][:80]!r}.",
                        fix="Choose another model.", exit=Exit.DATA)
    token_counts = [len(model.tokenizer.tokenize(sampled_text).ids) for sampled_text in texts[::16]]
    return vectors.astype(np.float16), len(texts) * sum(token_counts) // len(token_counts)


def encode_passages(embed_texts: Callable[[Sequence[str]], tuple[Any, int]], hashes: NDArray[np.int64],
                    rows_to_encode: NDArray[np.int64], text: Callable[[int], str], journal: VectorJournal, *,
                    on_progress: Callable[[int, int], None], sharing: Sharing | None = None) -> int:
    """Make the vectors of rows that the journal lacks, chunk by chunk, as `passage_vectors` does; how many were made.
    """
    journaled, encoded = journal.all_hashes(), 0
    chunks = [rows_to_encode[start:start + PREDICTION_CHUNK] for start in range(0, len(rows_to_encode),
                                                                                PREDICTION_CHUNK)]
    chunks = [chunk[~np.isin(hashes[chunk], journaled)] for chunk in chunks]
    texts_of_chunks = ([text(row) for row in rows.tolist()] for rows in chunks if len(rows))
    results = part_results(texts_of_chunks, embed_texts, sharing)
    for number, rows in enumerate(chunks, start=1):
        tokens = 0
        if len(rows):
            vectors, tokens = next(results)
            journal.write(hashes[rows], vectors)
            encoded += len(rows)
        on_progress(min(len(rows_to_encode), number * PREDICTION_CHUNK), tokens)
    assert next(results, None) is None, "vectors are left over"
    return encoded


def assemble_vectors(folder: Path, hashes: NDArray[np.int64], width: int, vector_dtype: str, journal: VectorJournal,
                     previous: Path | None, previous_rows: NDArray[np.int64]) -> None:
    """Write the vectors in the order of the passages, from the journal and from the previous version."""
    dtype = np.int8 if vector_dtype == "int8" else np.float16
    table: Any = np.lib.format.open_memmap(folder / VECTORS, mode="w+", dtype=dtype, shape=(len(hashes), width))
    reserve(folder / VECTORS)
    scales = np.zeros(len(hashes), dtype=np.float32)
    if previous is not None:
        previous_vectors = np.load(previous / VECTORS, mmap_mode="r", allow_pickle=False)
        previous_scales = (np.load(previous / SCALES, allow_pickle=False) if vector_dtype == "int8"
                           else np.zeros(len(previous_vectors), dtype=np.float32))
        for start in range(0, len(hashes), BLOCK):
            rows = np.flatnonzero(previous_rows[start:start + BLOCK] >= 0) + start
            table[rows], scales[rows] = previous_vectors[previous_rows[rows]], previous_scales[previous_rows[rows]]
    missing_rows = np.flatnonzero(previous_rows < 0)
    for index in range(len(journal.files)):
        hashes_of_file, vectors = journal.read(index)
        positions = HashLookup(hashes_of_file).rows(hashes[missing_rows])
        rows, positions = missing_rows[positions >= 0], positions[positions >= 0]
        if vector_dtype == "int8":
            table[rows], scales[rows] = quantize_int8(vectors[positions])
        else:
            table[rows] = vectors[positions]
        missing_rows = np.setdiff1d(missing_rows, rows, assume_unique=True)
    assert not len(missing_rows), f"{len(missing_rows)} passages have no vector"
    table.flush()
    if vector_dtype == "int8":
        np.save(folder / SCALES, scales)
