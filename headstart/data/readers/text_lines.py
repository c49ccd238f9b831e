"""The physical lines of a text file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from headstart.data.readers.text_encoding import open_text

if TYPE_CHECKING:
    from headstart.data.readers.source_file import SourceFile

MAX_LINE = 2**26  # characters of one line; more is no file of lines
Line = tuple[int, str, bool]  # number from 1, text without its end, whether it had an end


def raw_lines(source_file: SourceFile, encoding: str) -> Iterator[str]:
    """The lines with their ends as they are; \\n, \\r\\n and \\r end a line.

    Raises DataError for one that does not end.
    """
    builder = source_file.builder
    if builder.longest_line > MAX_LINE:
        raise builder.fatal_error("E124", f"a line has {builder.longest_line:,} characters, at most {MAX_LINE:,} are "
                                  "read.", "Is this a text file with line ends?")
    with open_text(source_file, encoding) as file:
        yield from file


def lines(source_file: SourceFile, encoding: str) -> Iterator[Line]:
    """The lines with their numbers, without their ends."""
    for line_number, line in enumerate(raw_lines(source_file, encoding), start=1):
        content = line.rstrip("\r\n")
        yield line_number, content, len(content) < len(line)
