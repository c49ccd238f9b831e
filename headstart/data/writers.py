"""Rows out in the user's format, also compressed; whole or not at all."""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import IO, Any, cast

from headstart.data.outputs.arrow_table import ArrowTableWriter
from headstart.data.outputs.delimited import DelimitedWriter
from headstart.data.outputs.json_rows import JsonArrayWriter, JsonLinesWriter
from headstart.data.outputs.layout import DELIMITED, TABLES, Layout, named_layout
from headstart.data.outputs.streams import as_text, packed
from headstart.data.outputs.workbook import WorkbookWriter
from headstart.data.outputs.writer import Writer
from headstart.files import disk_errors, staged_file
from headstart.progress.visible import VisibleStream


@contextlib.contextmanager
def open_writer(path: str, columns: Sequence[str], layout: Layout | None = None, *, overwrite: bool,
                tell: Callable[[str], object] | None = None) -> Iterator[Writer]:
    """A writer to a file that appears whole at the end, or to standard output ("-"), where it is UTF-8.

    `layout` is how it is written, by default as its name says; `tell` gets in words what could not be written as it
    was meant. Raises UserError: 74 when the disk is full or the place cannot be written, 73 where another file stands
    there by then and `overwrite` is not set. After an error nothing is left behind.
    """
    layout = layout or named_layout(path)
    if path == "-":
        with standard_output() as stdout:
            writer = make_writer(layout, stdout, columns)
            yield writer
            notes = writer.close()
    else:
        notes = []
        with disk_errors(path), staged_file(path, "wb", overwrite=overwrite) as file, \
                packed(file, layout.compression, path, layout.format) as byte_stream, contextlib.ExitStack() as stack:
            is_binary = layout.format in (*TABLES, "xlsx")
            stream = byte_stream if is_binary else stack.enter_context(as_text(byte_stream, layout.encoding, notes))
            writer = make_writer(layout, stream, columns)
            try:
                yield writer
            except BaseException:
                if isinstance(writer, WorkbookWriter):
                    writer.discard()
                raise
            notes += writer.close()
    if tell is not None:
        for note in notes:
            tell(note)


class BorrowedStream(io.TextIOWrapper):
    """A writer of text on a stream that is somebody else's: it never closes it, not even when it is forgotten."""

    def close(self) -> None:
        """Write what is left; the stream stays open."""
        if not self.closed:
            self.flush()


@contextlib.contextmanager
def standard_output() -> Iterator[IO[str]]:
    """Standard output as UTF-8; control characters are spelled out where people read it."""
    stdout = BorrowedStream(sys.stdout.buffer, encoding="utf-8", newline="", write_through=True)
    try:
        yield cast(IO[str], VisibleStream(stdout)) if sys.stdout.isatty() else stdout
        stdout.flush()
    finally:
        stdout.detach()


def make_writer(layout: Layout, stream: Any, columns: Sequence[str]) -> Writer:
    """The writer of a format."""
    if layout.format in DELIMITED:
        return DelimitedWriter(stream, columns, layout)
    if layout.format in TABLES:
        return ArrowTableWriter(stream, columns, layout)
    if layout.format == "xlsx":
        return WorkbookWriter(stream, columns, layout)
    return JsonLinesWriter(stream) if layout.format == "jsonl" else JsonArrayWriter(stream, layout.around)
