"""Rows out in the user's format: csv, tsv, jsonl, json or parquet, also inside .gz; whole or not at all."""

from __future__ import annotations

import contextlib
import csv
import gzip
import io
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Protocol, cast

from headstart.errors import Exit, UserError
from headstart.files import disk_errors, staged_file
from headstart.progress.visible import VisibleStream

FORMATS = ("csv", "tsv", "jsonl", "json", "parquet")
BLOCK = 4096  # rows of one parquet row group


class Writer(Protocol):
    """Takes rows one by one."""

    def write(self, row: Mapping[str, Any]) -> None:
        """One more row; its keys are the columns."""

    def close(self) -> None:
        """The end of the rows."""


def format_of(path: str, default: str = "jsonl") -> tuple[str, bool]:
    """The format that a file name says, and whether it is gzipped; raises UserError for one we cannot write."""
    name = Path(path).name.lower()
    gzipped = name.endswith(".gz")
    suffix = Path(name.removesuffix(".gz")).suffix.removeprefix(".")
    suffix = {"ndjson": "jsonl", "": default, "zip": default}.get(suffix, suffix)
    if suffix not in FORMATS:
        raise UserError(f"{path} should end in {', '.join('.' + name for name in FORMATS)} (or one of them and .gz).",
                        fix="Name the output so.")
    return suffix, gzipped


@contextlib.contextmanager
def open_writer(path: str, columns: Sequence[str], default: str = "jsonl") -> Iterator[Writer]:
    """A writer to a file that appears whole at the end, or to standard output ("-").

    Raises UserError: 74 when the disk is full or the place cannot be written. After an error nothing is left behind.
    """
    if path == "-":
        stdout = io.TextIOWrapper(sys.stdout.buffer, encoding="utf-8", newline="", write_through=True)
        read_by_people = VisibleStream(stdout) if sys.stdout.isatty() else stdout
        try:
            yield make_writer(default if default != "parquet" else "jsonl", read_by_people, columns)
            stdout.flush()
        finally:
            stdout.detach()
        return
    format_name, gzipped = format_of(path, default)
    with disk_errors(path), contextlib.ExitStack() as stack:
        byte_stream: IO[bytes] = stack.enter_context(staged_file(path, "wb"))
        if gzipped:
            byte_stream = cast(IO[bytes], stack.enter_context(gzip.GzipFile("", "wb", fileobj=byte_stream, mtime=0)))
        stream = byte_stream if format_name == "parquet" else stack.enter_context(open_text(byte_stream))
        writer = make_writer(format_name, stream, columns)
        yield writer
        writer.close()


@contextlib.contextmanager
def open_text(byte_stream: IO[bytes]) -> Iterator[IO[str]]:
    """A text file over a byte file that stays open."""
    text = io.TextIOWrapper(byte_stream, encoding="utf-8", newline="")
    yield text
    text.flush()
    text.detach()


def make_writer(format_name: str, stream: Any, columns: Sequence[str]) -> Writer:
    """The writer of a format."""
    if format_name in ("csv", "tsv"):
        return DelimitedWriter(stream, columns, "," if format_name == "csv" else "\t")
    if format_name == "parquet":
        return ParquetWriter(stream)
    return JsonLinesWriter(stream) if format_name == "jsonl" else JsonArrayWriter(stream)


class DelimitedWriter:
    """csv or tsv with a header; lists and objects become JSON texts."""

    def __init__(self, stream: IO[str], columns: Sequence[str], delimiter: str) -> None:
        self.columns = list(columns)
        self.writer = csv.writer(stream, delimiter=delimiter, lineterminator="\n")
        self.writer.writerow(self.columns)

    def write(self, row: Mapping[str, Any]) -> None:
        """One line."""
        self.writer.writerow([csv_cell(row.get(name)) for name in self.columns])

    def close(self) -> None:
        """Nothing more."""


def csv_cell(value: Any) -> Any:
    """A value as a csv cell."""
    if value is None:
        return ""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list | bool) else value


class JsonLinesWriter:
    """JSON lines."""

    def __init__(self, stream: IO[str]) -> None:
        self.stream = stream

    def write(self, row: Mapping[str, Any]) -> None:
        """One object on one line."""
        self.stream.write(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n")

    def close(self) -> None:
        """Nothing more."""


class JsonArrayWriter:
    """One JSON list of objects."""

    def __init__(self, stream: IO[str]) -> None:
        self.stream, self.is_first = stream, True

    def write(self, row: Mapping[str, Any]) -> None:
        """One more object."""
        self.stream.write(("[\n" if self.is_first else ",\n") + json.dumps(row, ensure_ascii=False, allow_nan=False))
        self.is_first = False

    def close(self) -> None:
        """The closing bracket."""
        self.stream.write("[]\n" if self.is_first else "\n]\n")


class ParquetWriter:
    """Parquet through pyarrow; lists keep their form, objects become JSON texts."""

    def __init__(self, stream: IO[bytes]) -> None:
        try:
            import pyarrow
            import pyarrow.parquet
        except ImportError:
            raise UserError("Writing parquet needs pyarrow.", fix="pip install 'headstart[parquet]'",
                            exit=Exit.UNAVAILABLE) from None
        self.arrow, self.parquet, self.stream = pyarrow, pyarrow.parquet, stream
        self.rows: list[dict[str, Any]] = []
        self.writer: Any = None

    def write(self, row: Mapping[str, Any]) -> None:
        """One more row, written in blocks."""
        self.rows.append({name: json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else value
                          for name, value in row.items()})
        if len(self.rows) >= BLOCK:
            self.write_block()

    def write_block(self) -> None:
        """Write the buffered rows."""
        schema = self.writer.schema if self.writer is not None else None
        table = self.arrow.Table.from_pylist(self.rows, schema=schema)
        if self.writer is None:
            self.writer = self.parquet.ParquetWriter(self.stream, table.schema)
        self.writer.write_table(table)
        self.rows = []

    def close(self) -> None:
        """The rest, and the footer."""
        if self.rows or self.writer is None:
            self.write_block()
        self.writer.close()
