"""The vectors of an index: made once, kept as they come, put together at the end.

N passages, W width. What is ready is kept in the journal, a file of hashes and vectors for every CHUNK of texts; a build that
was cut off finds it there and goes on with the next chunk, so that its vectors are bit for bit those of one that was not.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from headstart.artifacts.artifact import model_folder
from headstart.errors import Exit, UserError
from headstart.models.loading.model_info import facts
from headstart.prediction.embed import embed
from headstart.prediction.predict import CHUNK
from headstart.retrieval.index.storage import Earlier
from headstart.search.dense import as_bytes

if TYPE_CHECKING:
    from headstart.models.model import Model

VECTORS, SCALES = "vectors.npy", "scales.npy"
BLOCK = 65_536  # rows that are copied at a time
SPELLING = ("config.json", "tokenizer.json", "vocab.txt", "vocab.json", "merges.txt", "spiece.model", "sentencepiece.bpe.model",
            "tokenizer_config.json")


def fingerprint(reference: str, *, allow_pickle: bool = False) -> dict[str, Any]:
    """A model as an index names it: reference (a folder by its whole path), hash of weights, config and tokenizer, width."""
    known = facts(model_folder(reference), allow_pickle=allow_pickle)
    made = hashlib.sha256()
    for file in [*known.files, *(known.folder / name for name in SPELLING)]:
        if file.is_file():
            with file.open("rb") as opened:
                made.update(f"{file.name} {hashlib.file_digest(opened, 'sha256').hexdigest()}\n".encode())
    named = str(Path(reference).resolve()) if Path(reference).exists() else reference
    return {"reference": named, "sha256": made.hexdigest(), "width": known.width}


class Journal:
    """Vectors that are ready, (n, W) float16 a file, each under the hash of its text."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        for file in folder.glob(".*.part"):
            file.unlink()
        self.files = sorted(folder.glob("*.npy"))
        self.hashes = [self.read(number)[0] for number in range(len(self.files))]

    def read(self, number: int) -> tuple[NDArray[np.int64], NDArray[np.float16]]:
        """Hashes and vectors of one file."""
        with self.files[number].open("rb") as file:
            return np.load(file, allow_pickle=False), np.load(file, allow_pickle=False)

    def ready(self) -> NDArray[np.int64]:
        """The hashes of all texts whose vectors are here."""
        return np.concatenate([np.zeros(0, dtype=np.int64), *self.hashes])

    def write(self, hashes: NDArray[np.int64], vectors: NDArray[np.float16]) -> None:
        """One more file, whole or not there."""
        place = self.folder / f"{len(self.files):06}.npy"
        staging = self.folder / f".{place.name}.part"
        with staging.open("wb") as file:
            np.save(file, hashes)
            np.save(file, vectors)
            file.flush()
            os.fsync(file.fileno())
        staging.replace(place)
        self.files.append(place)
        self.hashes.append(hashes)


def encode(load: Callable[[], Model], hashes: NDArray[np.int64], wanted: NDArray[np.int64], text: Callable[[int], str], journal: Journal, *,
           batch_tokens: int, told: Callable[[int, int], None]) -> int:
    """Make the vectors of the wanted rows that the journal lacks, chunk by chunk; how many were made."""
    ready, made = journal.ready(), 0
    model: Model | None = None
    for begin in range(0, len(wanted), CHUNK):
        chosen = wanted[begin:begin + CHUNK]
        rows = chosen[~np.isin(hashes[chosen], ready)]
        if len(rows):
            model = model or load()
            texts = [text(row) for row in rows.tolist()]
            vectors = np.concatenate(list(embed(model, texts, pool="mean", normalise=True, batch_tokens=batch_tokens)))
            if (wrong := ~np.isfinite(vectors).all(axis=1)).any():
                raise UserError(f"The model gives no number for a text: {texts[int(wrong.argmax())][:80]!r}.", fix="Choose another model.",
                                exit=Exit.DATA)
            journal.write(hashes[rows], vectors.astype(np.float16))
            made += len(rows)
            sample = [len(model.tokenizer.tokenize(one).ids) for one in texts[::16]]
            told(min(len(wanted), begin + CHUNK), len(texts) * sum(sample) // len(sample))
        else:
            told(min(len(wanted), begin + CHUNK), 0)
    return made


def put_together(folder: Path, hashes: NDArray[np.int64], width: int, form: str, journal: Journal, before: Path | None,
                 old_rows: NDArray[np.int64]) -> None:
    """Write the vectors in the order of the passages, from the journal and from the index that was there before."""
    kind = np.int8 if form == "int8" else np.float16
    table: Any = np.lib.format.open_memmap(folder / VECTORS, mode="w+", dtype=kind, shape=(len(hashes), width))
    scales = np.zeros(len(hashes), dtype=np.float32)
    if before is not None:
        old = np.load(before / VECTORS, mmap_mode="r", allow_pickle=False)
        old_scales = np.load(before / SCALES, allow_pickle=False) if form == "int8" else np.zeros(len(old), dtype=np.float32)
        for begin in range(0, len(hashes), BLOCK):
            rows = np.flatnonzero(old_rows[begin:begin + BLOCK] >= 0) + begin
            table[rows], scales[rows] = old[old_rows[rows]], old_scales[old_rows[rows]]
    open_rows = np.flatnonzero(old_rows < 0)
    for number in range(len(journal.files)):
        own, vectors = journal.read(number)
        places = Earlier(own).rows(hashes[open_rows])
        rows, places = open_rows[places >= 0], places[places >= 0]
        if form == "int8":
            table[rows], scales[rows] = as_bytes(vectors[places])
        else:
            table[rows] = vectors[places]
        open_rows = np.setdiff1d(open_rows, rows, assume_unique=True)
    assert not len(open_rows), f"{len(open_rows)} passages have no vector"
    table.flush()
    if form == "int8":
        np.save(folder / SCALES, scales)
