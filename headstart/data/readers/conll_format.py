"""How a file of words in columns (CoNLL) is written: one word a line, its tag in the last column, blank lines between
sentences.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable
from dataclasses import dataclass

from headstart.data.readers.conll_columns import is_tag, is_tag_column

SAMPLE_LINES = 200  # lines that the format is detected from
MIN_FITTING = 0.8  # share of them that must look like words with tags
EXTENSIONS = ("txt", "tsv", "")  # what such a file may be called; only its content tells it from others
BYTE_ORDER_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
SPACES = re.compile(" +")


@dataclass(frozen=True)
class ColumnFormat:
    """What separates the columns (a tab, else runs of spaces), and how many there are."""

    tabs: bool
    width: int

    def fields(self, line: str) -> list[str]:
        """A line's columns; empty ones at its end are none."""
        columns = line.split("\t") if self.tabs else SPACES.split(line)
        while len(columns) > 1 and not columns[-1].strip():
            columns.pop()
        return columns

    def describe(self) -> str:
        """In words, for the user."""
        count = "1 column" if self.width == 1 else f"{self.width} columns"
        return count if self.width == 1 else f"{count} separated by {'tabs' if self.tabs else 'spaces'}"


def line_format(line: str) -> ColumnFormat:
    """The format of one line."""
    column_format = ColumnFormat("\t" in line, 0)
    return ColumnFormat(column_format.tabs, len(column_format.fields(line)))


def ends_sentence(line: str) -> bool:
    """Whether a line separates sentences: nothing but space, or the mark of a new document."""
    return not line.strip() or line.split(maxsplit=1)[0] == "-DOCSTART-"


def detect_format(lines: Iterable[str]) -> ColumnFormat | None:
    """The format of a file's first line with a word; None without one. Lines that begin with # count only where there
    is no other.
    """
    comment = None
    for line in lines:
        if not ends_sentence(line):
            if not line.startswith("#"):
                return line_format(line)
            comment = line if comment is None else comment
    return None if comment is None else line_format(comment)


def looks_like(start: bytes, extension: str) -> bool:
    """Whether a file begins with words and tags: two columns or more, one of O, B-X, I-X …; or is called conll."""
    if extension in ("conll", "conllu", "conllx"):
        return True
    if extension not in EXTENSIONS:
        return False
    lines = [line for line in first_lines(start) if not ends_sentence(line) and not line.startswith("#")]
    column_format = detect_format(lines)
    if column_format is None or column_format.width < 2:
        return False
    rows = [fields for fields in map(column_format.fields, lines) if len(fields) == column_format.width]
    if len(rows) < MIN_FITTING * len(lines) or len(column_format.fields(lines[0])) != column_format.width:
        return False
    columns = [[fields[index].strip() for fields in rows] for index in range(column_format.width)]
    return not any(" " in cell for cells in columns for cell in cells) and any(
        is_tag_column(cells) and is_tag(cells[0]) for cells in columns)


def first_lines(start: bytes) -> list[str]:
    """The first lines of a file's beginning; bytes of another encoding than Unicode's do no harm here."""
    encoding = next((name for byte_order_mark, name in BYTE_ORDER_MARKS if start.startswith(byte_order_mark)), "utf-8")
    lines = start.decode(encoding, errors="replace").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return lines[:SAMPLE_LINES]
