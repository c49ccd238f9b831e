"""Rows out in the user's format: csv, tsv, jsonl, json or parquet, also inside .gz; whole or not at all."""

from __future__ import annotations

import contextlib
import csv
import errno
import gzip
import io
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Protocol, cast

from headstart.errors import Exit, UserError

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
    packed = name.endswith(".gz")
    suffix = Path(name.removesuffix(".gz")).suffix.removeprefix(".")
    suffix = {"ndjson": "jsonl", "": default, "zip": default}.get(suffix, suffix)
    if suffix not in FORMATS:
        raise UserError(f"{path} should end in {', '.join('.' + name for name in FORMATS)} (or one of them and .gz).",
                        fix="Name the output so.")
    return suffix, packed


@contextlib.contextmanager
def writing(path: str, columns: Sequence[str], default: str = "jsonl") -> Iterator[Writer]:
    """A writer to a file that appears whole at the end, or to standard output ("-").

    Raises UserError: 74 when the disk is full or the place cannot be written. After an error nothing is left behind.
    """
    if path == "-":
        out = io.TextIOWrapper(sys.stdout.buffer, encoding="utf-8", newline="", write_through=True)
        try:
            yield made(default if default != "parquet" else "jsonl", out, columns)
            out.flush()
        finally:
            out.detach()
        return
    form, packed = format_of(path, default)
    staging = Path(path).with_name(f".{Path(path).name}.{os.getpid()}.part")
    try:
        with staging.open("wb") as file:
            with contextlib.ExitStack() as stack:
                raw: IO[bytes] = file
                if packed:
                    raw = cast(IO[bytes], stack.enter_context(gzip.GzipFile("", "wb", fileobj=file, mtime=0)))
                writer = made(form, raw if form == "parquet" else stack.enter_context(text_of(raw)), columns)
                yield writer
                writer.close()
            file.flush()
            os.fsync(file.fileno())
        staging.replace(path)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise UserError(f"The disk of {path} is full; nothing was written.", fix="Free some space.",
                            exit=Exit.DISK) from error
        if error.filename is None or str(error.filename) not in (str(staging), path):
            raise
        raise UserError(f"{path} cannot be written: {error.strerror}.", fix="Choose another place with --to.",
                        exit=Exit.DISK) from error
    finally:
        staging.unlink(missing_ok=True)


@contextlib.contextmanager
def text_of(raw: IO[bytes]) -> Iterator[IO[str]]:
    """A text file over a byte file that stays open."""
    text = io.TextIOWrapper(raw, encoding="utf-8", newline="")
    yield text
    text.flush()
    text.detach()


def made(form: str, out: Any, columns: Sequence[str]) -> Writer:
    """The writer of a format."""
    if form in ("csv", "tsv"):
        return Delimited(out, columns, "," if form == "csv" else "\t")
    if form == "parquet":
        return Parquet(out)
    return Lines(out) if form == "jsonl" else Objects(out)


class Delimited:
    """csv or tsv with a header; lists and objects become JSON texts."""

    def __init__(self, out: IO[str], columns: Sequence[str], delimiter: str) -> None:
        self.columns = list(columns)
        self.writer = csv.writer(out, delimiter=delimiter, lineterminator="\n")
        self.writer.writerow(self.columns)

    def write(self, row: Mapping[str, Any]) -> None:
        """One line."""
        self.writer.writerow([cell(row.get(name)) for name in self.columns])

    def close(self) -> None:
        """Nothing more."""


def cell(value: Any) -> Any:
    """A value as a csv cell."""
    if value is None:
        return ""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list | bool) else value


class Lines:
    """JSON lines."""

    def __init__(self, out: IO[str]) -> None:
        self.out = out

    def write(self, row: Mapping[str, Any]) -> None:
        """One object on one line."""
        self.out.write(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n")

    def close(self) -> None:
        """Nothing more."""


class Objects:
    """One JSON list of objects."""

    def __init__(self, out: IO[str]) -> None:
        self.out, self.first = out, True

    def write(self, row: Mapping[str, Any]) -> None:
        """One more object."""
        self.out.write(("[\n" if self.first else ",\n") + json.dumps(row, ensure_ascii=False, allow_nan=False))
        self.first = False

    def close(self) -> None:
        """The closing bracket."""
        self.out.write("[]\n" if self.first else "\n]\n")


class Parquet:
    """Parquet through pyarrow; lists keep their form, objects become JSON texts."""

    def __init__(self, out: IO[bytes]) -> None:
        try:
            import pyarrow
            import pyarrow.parquet
        except ImportError:
            raise UserError("Writing parquet needs pyarrow.", fix="pip install 'headstart[parquet]'",
                            exit=Exit.UNAVAILABLE) from None
        self.arrow, self.parquet, self.out = pyarrow, pyarrow.parquet, out
        self.rows: list[dict[str, Any]] = []
        self.writer: Any = None

    def write(self, row: Mapping[str, Any]) -> None:
        """One more row, written in blocks."""
        self.rows.append({name: json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else value
                          for name, value in row.items()})
        if len(self.rows) >= BLOCK:
            self.block()

    def block(self) -> None:
        """Write the rows held."""
        schema = self.writer.schema if self.writer is not None else None
        table = self.arrow.Table.from_pylist(self.rows, schema=schema)
        if self.writer is None:
            self.writer = self.parquet.ParquetWriter(self.out, table.schema)
        self.writer.write_table(table)
        self.rows = []

    def close(self) -> None:
        """The rest, and the footer."""
        if self.rows or self.writer is None:
            self.block()
        self.writer.close()
