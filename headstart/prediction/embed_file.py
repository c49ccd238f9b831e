"""File in, vectors out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, overload

from headstart import tasks
from headstart.artifacts.artifact import model_folder, read_metadata
from headstart.contract import HeadSpec
from headstart.data.examples import Examples, Reading, read_examples, stop_on_faults
from headstart.data.writers import open_writer
from headstart.files import disk_errors, staged_file
from headstart.models.loading.load import load
from headstart.models.model import Model
from headstart.prediction.embed import Pool, embed
from headstart.progress import Reporter
from headstart.settings import Data

TASK = "masked-language-model"  # reads rows of one text


class ExampleTexts(Sequence[str]):
    """The texts of rows, read when they are accessed."""

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
            return [self[row_index] for row_index in range(*index.indices(len(self)))]
        return self.examples.task.dedup_key(self.examples[index])


def load_headless(reference: str, *, device: str, allow_pickle: bool = False) -> Model:
    """A model without a head of its own (a run, a folder, a hub name, pip:PACKAGE)."""
    return load(model_folder(reference), HeadSpec("sequence-classification", 2), seed=0, device=device,
                allow_pickle=allow_pickle, add_end_token=False)


def expects_unit_vectors(reference: str) -> bool:
    """Whether a model was trained to compare vectors of length 1: those of a retrieval run."""
    metadata = read_metadata(model_folder(reference))
    return metadata is not None and metadata["task"] == "retrieval"


def embed_file(model: Model, path: str, to: str, *, settings: Data, columns: Mapping[str, str], pool: Pool,
               normalise: bool, batch_tokens: int, reporter: Reporter) -> tuple[int, int]:
    """Vectors of a file's texts as .npy (rows × width), or beside the rows in .parquet, .jsonl or .csv; rows and width.

    Raises DataError for rows that cannot be read, UserError for a file that cannot be written.
    """
    reading = read_examples(tasks.find(TASK)(), path, settings, columns=columns, training=False)
    skipped = stop_on_faults([reading], settings, None)
    reporter.info(f"{reading.table.path}: {len(reading.examples):,} rows; {reading.table.format}"
                  + (f"; skipped {skipped:,} rows that cannot be used" if skipped else ""))
    vectors = embed(model, ExampleTexts(reading.examples), pool=pool, normalise=normalise, batch_tokens=batch_tokens)
    chunks = report_progress(vectors, reading, reporter)
    width = model.info.width
    if to.endswith(".npy"):
        write_array(Path(to), chunks, (len(reading.examples), width))
        return len(reading.examples), width
    with open_writer(to, [*reading.table.columns, "vector"], "jsonl") as writer:
        row_index = 0
        for chunk in chunks:
            for vector in chunk.tolist():
                record = reading.table[int(reading.examples.indices[row_index])]
                writer.write(dict(zip(reading.table.columns, record.values, strict=True)) | {"vector": vector})
                row_index += 1
    return len(reading.examples), width


def report_progress(chunks: Iterator[Any], reading: Reading, reporter: Reporter) -> Iterator[Any]:
    """The chunks, with progress reported as they pass."""
    count = 0
    for chunk in chunks:
        count += len(chunk)
        reporter.progress(count, len(reading.examples), "rows")
        yield chunk


def write_array(path: Path, chunks: Iterator[Any], shape: tuple[int, int]) -> None:
    """A .npy file of float32, written chunk by chunk beside its path, then renamed."""
    import numpy as np

    with disk_errors(path), staged_file(path, "wb") as file:
        header: dict[Literal["descr", "fortran_order", "shape"], Any] = {"descr": "<f4", "fortran_order": False,
                                                                         "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)  # type: ignore[arg-type]  # numpy asks for a dict of any
        for chunk in chunks:
            file.write(chunk.astype("<f4").tobytes())
