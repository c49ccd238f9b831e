"""File in, vectors out."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, overload

from headstart import tasks
from headstart.artifacts.artifact import model_folder, read
from headstart.contract import HeadSpec
from headstart.data.writers import writing
from headstart.models.loading.load import load
from headstart.models.model import Model
from headstart.prediction.embed import Pool, embed
from headstart.preparation.examples import Examples, Reading, read_examples, stop_on_faults
from headstart.progress import Voice
from headstart.runs.folder import disk_words
from headstart.settings import Data

TASK = "masked-language-model"  # reads rows of one text


class Texts(Sequence[str]):
    """The texts of rows, read when they are asked for."""

    def __init__(self, examples: Examples) -> None:
        self.examples = examples

    def __len__(self) -> int:
        return len(self.examples)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        return self.examples.task.subject(self.examples[index])


def bare(reference: str, *, device: str, allow_pickle: bool = False) -> Model:
    """A model without a head of its own (a run, a folder, a hub name, pip:PACKAGE)."""
    return load(model_folder(reference), HeadSpec("sequence-classification", 2), seed=0, device=device, allow_pickle=allow_pickle,
                closes=False)


def compares(reference: str) -> bool:
    """Whether a model was trained to compare vectors of length 1: those of a retrieval run."""
    held = read(model_folder(reference))
    return held is not None and held["task"] == "retrieval"


def embed_file(model: Model, path: str, to: str, *, settings: Data, given: Mapping[str, str], pool: Pool, normalise: bool,
               batch_tokens: int, voice: Voice) -> tuple[int, int]:
    """Vectors of a file's texts as .npy (rows × width), or beside the rows in .parquet, .jsonl or .csv; rows and width.

    Raises DataError for rows that cannot be read, UserError for a place that cannot be written.
    """
    reading = read_examples(tasks.find(TASK)(), path, settings, given=given, training=False)
    skipped = stop_on_faults([reading], settings, None)
    voice.say(f"{reading.table.path}: {len(reading.examples):,} rows; {reading.table.format}"
              + (f"; left out {skipped:,} rows that cannot be used" if skipped else ""))
    parts = told(embed(model, Texts(reading.examples), pool=pool, normalise=normalise, batch_tokens=batch_tokens), reading, voice)
    width = model.facts.width
    if to.endswith(".npy"):
        write_array(Path(to), parts, (len(reading.examples), width))
        return len(reading.examples), width
    with writing(to, [*reading.table.columns, "vector"], "jsonl") as out:
        done = 0
        for part in parts:
            for vector in part.tolist():
                record = reading.table[int(reading.examples.indices[done])]
                out.write(dict(zip(reading.table.columns, record.values, strict=True)) | {"vector": vector})
                done += 1
    return len(reading.examples), width


def told(parts: Iterator[Any], reading: Reading, voice: Voice) -> Iterator[Any]:
    """The chunks, with progress told as they pass."""
    done = 0
    for part in parts:
        done += len(part)
        voice.progress(done, len(reading.examples), "rows")
        yield part


def write_array(place: Path, parts: Iterator[Any], shape: tuple[int, int]) -> None:
    """A .npy file of float32, written chunk by chunk, put in its place whole."""
    import numpy as np

    staging = place.with_name(f".{place.name}.{os.getpid()}.part")
    try:
        with disk_words(place), staging.open("wb") as file:
            header: dict[Literal["descr", "fortran_order", "shape"], Any] = {"descr": "<f4", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(file, header)  # type: ignore[arg-type]  # numpy asks for a dict of any
            for part in parts:
                file.write(part.astype("<f4").tobytes())
            file.flush()
            os.fsync(file.fileno())
        os.replace(staging, place)
    finally:
        staging.unlink(missing_ok=True)
