"""Rows that stand in memory as a file's rows: lists of texts or dicts, DataFrames, Arrow tables, datasets.

    read_rows(frame).records()     {"text": "a fine day", "label": "good"}, …  with what JSON has for values
    read_rows("hello")             is refused: a text is no rows
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from headstart.contract import Json
from headstart.data.frames import READERS, Frame, arrow_frame, is_kind
from headstart.data.object_cells import cell_value, is_missing
from headstart.errors import Exit, UserError
from headstart.files import disk_errors, staged_file

EXPECTED = ("Pass a path, a list of texts or of dicts (one a row, by column), a pandas or polars DataFrame, an Arrow "
            "table or a Dataset.")
Record: TypeAlias = "dict[str, Json]"


class ArrowStream(Protocol):
    """A table of any library that gives its columns by the Arrow PyCapsule interface."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """The capsule."""


Rows: TypeAlias = "str | os.PathLike[str] | Iterable[Mapping[str, Any] | str | tuple[Any, ...]] | ArrowStream"


@dataclass(frozen=True)
class ObjectRows:
    """Rows in memory: what they came as, how many, and each under its columns, as often as they are asked for.

    `notes` say what was taken otherwise than it stands there. `records` raises UserError (65) for a value that no file
    of rows can hold.
    """

    kind: str
    count: int
    records: Callable[[], Iterator[Record]]
    notes: tuple[str, ...] = ()
    frame: Frame | None = None  # where they are a table of another library

    def write(self, path: Path) -> None:
        """Write the rows as JSON lines, whole or not at all; raises UserError (65, 74)."""
        with disk_errors(path), staged_file(path) as file:
            for record in self.records():
                file.write(json_line(record))


def json_line(record: Record) -> str:
    """A row as a line of JSON; half characters (lone surrogates) as escapes, which readers tell."""
    line = json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n"
    try:
        line.encode("utf-8")
    except UnicodeEncodeError:
        return json.dumps(record, allow_nan=False) + "\n"
    return line


def read_rows(source: Any, text_fields: Sequence[str] = ("text",)) -> ObjectRows:
    """Rows of Python; a plain text is the first of `text_fields`, a tuple all of them in order.

    Raises UserError: 2 for what are no rows, 65 for columns without a name of their own.
    """
    for library, class_name, read in READERS:
        if is_kind(source, library, class_name):
            return frame_rows(read(source))
    refuse_other_kinds(source)
    is_column = hasattr(source, "to_pylist") and not hasattr(source, "schema")  # of pyarrow
    if not is_column and (hasattr(source, "__arrow_c_stream__") or hasattr(source, "__arrow_c_array__")):
        return frame_rows(arrow_frame(source))
    try:
        rows = source.to_pylist() if is_column else source.tolist() if hasattr(source, "ndim") else list(source)
    except TypeError:
        raise UserError(f"Rows were expected, but a value of the class {type(source).__name__} came.",
                        fix=EXPECTED) from None
    return listed_rows(rows, text_fields)


def refuse_other_kinds(source: Any) -> None:
    """Refuse what could be taken for rows, or for a sequence of them, and is none; raises UserError (2)."""
    if is_missing(source):
        raise UserError(f"Rows were expected, but {source} came.", fix=EXPECTED)
    if isinstance(source, str):
        missing_file = f" There is no file {source[:60]}, if a path was meant." if is_path_like(source) else ""
        raise UserError(f"Rows were expected, but one text came: {source[:60]!r}.{missing_file}",
                        fix=f"For one row pass a list of one: [{source[:30]!r}]. {EXPECTED}")
    if isinstance(source, bytes | bytearray | memoryview):
        raise UserError("Rows were expected, but bytes came.", fix=f'Decode them: .decode("utf-8"). {EXPECTED}')
    if is_kind(source, "datasets", "DatasetDict"):
        split = "test" if "test" in source else next(iter(source), "train")
        raise UserError(f"One split was expected, but a DatasetDict of {', '.join(map(repr, source))} came.",
                        fix=f"Name it: dataset[{split!r}].")
    if is_kind(source, "datasets", "IterableDataset") or is_kind(source, "datasets", "IterableDatasetDict"):
        raise UserError("Rows were expected, but a streamed Dataset came, which holds none yet.",
                        fix="Load it without streaming=True, or pass Dataset.from_list(list(…)).")
    if isinstance(source, Mapping):
        raise UserError(f"Rows were expected, but one dict came ({', '.join(map(repr, list(source)[:5]))}).",
                        fix="For one row pass a list of one: [{…}]; a dict of columns becomes rows with "
                            f"pandas.DataFrame(…). {EXPECTED}")
    if is_kind(source, "polars", "LazyFrame"):
        raise UserError("Rows were expected, but a polars LazyFrame came, which holds none yet.",
                        fix="Pass its rows: .collect().")
    if isinstance(source, io.IOBase):
        raise UserError("Rows were expected, but an open file came, whose lines are not rows.", fix="Pass its path.")
    if isinstance(source, set | frozenset):
        raise UserError("Rows were expected, but a set came, which has no order.", fix="Pass a list.")
    if isinstance(source, type) or getattr(source, "ndim", 1) != 1:
        raise UserError(f"Rows were expected, but {describe_array(source)} came.", fix=EXPECTED)


def is_path_like(text: str) -> bool:
    """Whether a text may have been meant as a path: it has a slash, or an ending, and no blank."""
    return not any(character.isspace() for character in text) and ("/" in text or os.sep in text or "." in text[:-1])


def describe_array(source: Any) -> str:
    """An array, a class, or a value that has more dimensions than rows have, in words."""
    if isinstance(source, type):
        return f"the class {source.__name__}"
    if hasattr(source, "shape"):
        return f"an array with {source.ndim} dimensions"
    return f"a value of the class {type(source).__name__}"


def listed_rows(rows: Sequence[Any], text_fields: Sequence[str]) -> ObjectRows:
    """Texts, dicts, named tuples, or tuples of what the model reads."""
    def records() -> Iterator[Record]:
        for index, row in enumerate(rows):
            yield converted(row_columns(row, index, text_fields), "the list", index)

    kinds = {"texts" if isinstance(row, str) else "dicts" if isinstance(row, Mapping) else "tuples" for row in rows}
    return ObjectRows(f"list of {' and '.join(sorted(kinds)) or 'rows'}", len(rows), records)


def row_columns(row: Any, index: int, text_fields: Sequence[str]) -> Mapping[str, Any]:
    """One row under its columns; raises UserError (2) for what is no row."""
    if isinstance(row, str):
        return {text_fields[0]: row}
    if isinstance(row, Mapping):
        if unnamed := [key for key in row if not isinstance(key, str)]:
            raise UserError(f"row {index + 1} has the column {unnamed[0]!r}; the names of columns are texts.",
                            fix="Name it.")
        return row
    if isinstance(row, tuple) and hasattr(row, "_asdict"):
        columns: Mapping[str, Any] = row._asdict()
        return columns
    if isinstance(row, tuple) and len(row) == len(text_fields):
        return dict(zip(text_fields, row, strict=True))
    if isinstance(row, tuple):
        raise UserError(f"row {index + 1} is a tuple of {len(row)}; a tuple is ({', '.join(text_fields)}) here.",
                        fix="Pass dicts, one a row, by column.")
    came = f"{row}" if is_missing(row) else f"of the class {type(row).__name__}"
    raise UserError(f"row {index + 1} is {came}; a row is a text or a dict of columns.",
                    fix="Join the tables to one first." if hasattr(row, "columns") else EXPECTED)


def frame_rows(frame: Frame) -> ObjectRows:
    """The rows of a table of columns, without those that hold what no file of rows can hold."""
    left_out = unreadable_columns(frame)

    def records() -> Iterator[Record]:
        index = 0
        for columns in frame.batches():
            for values in zip(*columns, strict=True):
                row = {name: value for name, value in zip(frame.names, values, strict=True) if name not in left_out}
                yield converted(row, f"the {frame.kind}", index)
                index += 1

    notes = [f'the column "{name}" holds {kind}: it is left out' for name, kind in left_out.items()]
    return ObjectRows(frame.kind, frame.count, records, (*frame.notes, *notes), frame)


def unreadable_columns(frame: Frame) -> dict[str, str]:
    """The columns whose first value is one that no file of rows can hold, with what it is."""
    kinds: dict[str, str] = {}
    for name, values in zip(frame.names, next(frame.batches(), ()), strict=False):
        try:
            cell_value(next((value for value in values if not is_missing(value)), None))
        except TypeError as error:
            kinds[name] = str(error)
    return kinds


def converted(row: Mapping[str, Any], kind: str, index: int) -> Record:
    """A row with what JSON has for its values; raises UserError (65) for one that has none."""
    record: Record = {}
    for name, value in row.items():
        try:
            record[name] = cell_value(value)
        except TypeError as error:
            raise UserError(f'{kind}, row {index + 1}: the column "{name}" holds {error}; a text, a number, a date, a '
                            "list or an object was expected.", fix="Convert it, or leave the column out.",
                            exit=Exit.DATA) from None
    return record
