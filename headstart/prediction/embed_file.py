"""File in, vectors out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, Literal, overload

from headstart import tasks
from headstart.artifacts.metadata import model_folder, read_metadata
from headstart.contract import HeadSpec
from headstart.data.examples import Examples, Reading, read_examples
from headstart.data.outputs.layout import Layout, output_layout, split_name
from headstart.data.outputs.place import check_output
from headstart.data.writers import open_writer
from headstart.errors import UserError
from headstart.files import disk_errors, staged_file
from headstart.models.loading.load import load
from headstart.models.loading.weights import checksum
from headstart.models.model import Model
from headstart.models.precision import in_precision
from headstart.prediction.embed import Pool, embed_chunk, text_chunks
from headstart.prediction.every_row import (
    REASON,
    input_rows,
    prediction_columns,
    row_count,
    stop_on_broken_rows,
    tell_reading,
)
from headstart.prediction.processes import Sharing, check_folder, check_model, part_results, worker_device
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


def load_headless(reference: str, *, device: str, allow_pickle: bool = False, precision: str = "fp32",
                  dtype: str = "fp32") -> Model:
    """A model without a head of its own (a run, a folder, a hub name, pip:PACKAGE) that computes in a precision."""
    return in_precision(load(model_folder(reference), HeadSpec("sequence-classification", 2), seed=0, device=device,
                             allow_pickle=allow_pickle, add_end_token=False, dtype=dtype), precision)


@dataclass(frozen=True)
class EmbeddingWork:
    """What another process embeds texts with: a headless model, loaded there, and how its states become vectors."""

    reference: str
    device: str
    allow_pickle: bool
    precision: str
    dtype: str
    pool: Pool
    normalise: bool
    batch_tokens: int
    checksum: str = ""  # of the weights that are loaded here

    def open(self, number: int) -> Callable[[Sequence[str]], Any]:
        """What gives the vectors of some texts, (n, W); raises UserError, also where the model was changed meanwhile.
        """
        check_folder(self.reference)
        model = load_headless(self.reference, device=worker_device(self.device, number),
                              allow_pickle=self.allow_pickle, precision=self.precision, dtype=self.dtype)
        if self.checksum:
            check_model(self.reference, checksum(model.module.parameters()), self.checksum)
        return partial(embed_chunk, model, pool=self.pool, normalise=self.normalise, batch_tokens=self.batch_tokens)


def expects_unit_vectors(reference: str) -> bool:
    """Whether a model was trained to compare vectors of length 1: those of a retrieval run."""
    metadata = read_metadata(model_folder(reference))
    return metadata is not None and metadata["task"] == "retrieval"


def embed_file(model: Model, path: str, to: str, *, settings: Data, columns: Mapping[str, str], pool: Pool,
               normalise: bool, batch_tokens: int, reporter: Reporter, overwrite: bool = False,
               sharing: Sharing | None = None) -> tuple[int, int]:
    """Vectors of a file's texts as .npy (rows × width), or beside the rows; how many, and W.

    Every row of the input has one: in a .npy a row without a text is NaN, elsewhere its vector is null and the reason
    stands beside it. Raises DataError for rows that cannot be read, UserError for a file that cannot be written (73
    where one stands there, unless `overwrite`, and always over the input).
    """
    check_output(to, overwrite=overwrite, inputs=(path,))
    reading = read_examples(tasks.find(TASK)(), path, settings, columns=columns, training=False)
    stop_on_broken_rows(reading, settings)
    is_array = to.endswith(".npy")
    layout = None if is_array else vectors_layout(to, reading, settings)
    tell_reading(reading, reporter, "the rows of the array are NaN there" if is_array
                 else f"the column {REASON} says why", "vector")
    if layout is not None and layout.note:
        reporter.info(layout.note)
    vectors = part_results(text_chunks(ExampleTexts(reading.examples)), partial(
        embed_chunk, model, pool=pool, normalise=normalise, batch_tokens=batch_tokens), sharing)
    chunks = report_progress(vectors, reading, reporter)
    shape = (row_count(reading), model.info.width)
    if is_array:
        write_array(Path(to), aligned_vectors(reading, chunks), shape, overwrite=overwrite)
        return shape
    rows = vector_rows(reading, chunks, layout)
    first_row = next(rows)
    with open_writer(to, list(first_row), layout, overwrite=overwrite, tell=reporter.warning) as writer:
        for row in chain([first_row], rows):
            writer.write(row)
    return shape


def vectors_layout(to: str, reading: Reading, settings: Data) -> Layout:
    """How the rows are written: as the name says, JSON lines where it says nothing. Raises UserError (2)."""
    format_name, compression = split_name(to) if to != "-" else ("", "")
    if format_name in ("npz", "pt", "safetensors"):
        raise UserError(f"{to}: vectors alone are written as .npy.", fix="Name the output so, or .parquet, .jsonl …")
    return output_layout(to, reading.table, settings) if format_name else Layout(compression=compression)


def aligned_vectors(reading: Reading, chunks: Iterator[Any]) -> Iterator[Any]:
    """The vector of each row of the input, None where there is none."""
    vectors = chain.from_iterable(chunks)
    for row in input_rows(reading):
        yield None if row.reason else next(vectors)


def vector_rows(reading: Reading, chunks: Iterator[Any], layout: Layout | None) -> Iterator[dict[str, Any]]:
    """The rows of the input with their vectors, and with the reason where one has none."""
    has_reasons = row_count(reading) > len(reading.examples)
    names = prediction_columns([*reading.table.columns, *reading.table.builder.unused_columns], ["vector", REASON])
    vectors = chain.from_iterable(chunks)
    for row in input_rows(reading, layout):
        values = {**row.values, names["vector"]: None if row.reason else next(vectors).tolist()}
        yield values | ({names[REASON]: row.reason or None} if has_reasons else {})


def report_progress(chunks: Iterator[Any], reading: Reading, reporter: Reporter) -> Iterator[Any]:
    """The chunks, with progress reported as they pass."""
    count = 0
    for chunk in chunks:
        count += len(chunk)
        reporter.progress(count, len(reading.examples), "rows")
        yield chunk


def write_array(path: Path, vectors: Iterator[Any], shape: tuple[int, int], *, overwrite: bool) -> None:
    """A .npy file of float32, written row by row beside its path, then renamed; NaN for a vector that is None."""
    import numpy as np

    missing = np.full(shape[1], np.nan, "<f4").tobytes()
    with disk_errors(path), staged_file(path, "wb", overwrite=overwrite) as file:
        header: dict[Literal["descr", "fortran_order", "shape"], Any] = {"descr": "<f4", "fortran_order": False,
                                                                         "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)  # type: ignore[arg-type]  # numpy asks for a dict of any
        for vector in vectors:
            file.write(missing if vector is None else vector.astype("<f4").tobytes())
