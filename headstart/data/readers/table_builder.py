"""What a reader fills while it reads a file: columns, rows and findings."""

from __future__ import annotations

import bisect
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from headstart.data.row_store import MEMORY_LIMIT, RowStore
from headstart.errors import DataError, Finding
from headstart.text.running_text import RowsChoice

FINDINGS_PER_CODE = 100  # findings of each code that are kept in full; the others are counted
SURROGATE = re.compile("[\ud800-\udfff]")
VALUE_KINDS = {str: "texts", bool: "truth values", list: "lists", dict: "objects"}
MAX_UNPACKED = 2**33  # bytes that may come out of a compressed file
SKIP = "pass --bad-rows skip to leave such rows out (they are counted and listed)."


@dataclass(frozen=True)
class TextReading:
    """How a task takes a plain text file: a line a row, or running text for blocks of tokens or for its sentences.

    With `keeps_whole` a document is one row (where each row gets a prediction), and a line unless data.rows says else.
    `choice` is what was decided on another file of the same data.
    """

    unit: Literal["lines", "blocks", "sentences"] = "lines"
    keeps_whole: bool = False
    choice: RowsChoice | None = None


class NoRows(DataError):
    """A file that is whole and holds no rows; what is known of it (columns, format, layout) stands in `builder`."""

    builder: TableBuilder


class TableBuilder:
    """Columns, rows and findings of one file under the name the user knows it by."""

    def __init__(self, name: str, memory_limit: int = MEMORY_LIMIT) -> None:
        self.name = name
        self.columns: tuple[str, ...] = ()
        self.store = RowStore(memory_limit)
        self.findings: list[Finding] = []
        self.counts: Counter[str] = Counter()
        self.format_parts: list[str] = []  # how the file was read
        self.row_count = 0  # rows so far, faulty ones counted
        self.types: dict[int, set[str]] = {}
        self.text_reading = TextReading()
        self.rows_choice: RowsChoice | None = None  # what a row of running text is, and why
        self.encoding = ""
        self.layout: dict[str, str] = {}  # of a delimited file: its signs and its line end
        self.origin_columns: tuple[str, ...] = ()  # of ours, which say where a row is from
        self.dropped_columns: tuple[str, ...] = ()  # of the file, which its rows do not hold any more
        self.features: Mapping[str, Any] = {}  # what a folder's description says of columns, as `datasets` writes it
        self.sheet = ""  # of a workbook, the one that was taken
        self.column_numbers: tuple[int, ...] | None = None  # of the columns in the file, from 1; all in order when None
        self.ambiguous_columns: dict[str, str] = {}  # columns that only the user may choose, with the reason
        self.unused_columns: dict[str, str] = {}  # columns of the file that hold nothing to be read, with the reason
        self.empty_rows_at_end = 0  # rows of empty fields, which are not used
        self.max_bytes = MAX_UNPACKED
        # What the pass over the bytes found: places of bytes that are not UTF-8 (line, column, byte), NUL characters,
        # and the longest line.
        self.bad_bytes: list[tuple[int, int, int]] = []
        self.has_nul, self.has_returns, self.longest_line = False, False, 0
        self.next_bad_byte = 0

    def add_row(self, values: tuple[Any, ...], line: int | None, size: int) -> None:
        """One valid row; a fault where a text holds bytes that are not UTF-8, or half a character."""
        if holds_surrogate(values):
            self.add_surrogate_finding(line)
            return
        self.store.append(self.row_count, values, line, size)
        self.row_count += 1

    def add_finding(self, code: str, message: str, fix: str = "", *, line: int | None = None, column: int | None = None,
                    row: bool = False) -> None:
        """One more finding; with `row`, it is about the current row, which is left out."""
        self.counts[code] += 1
        if self.counts[code] <= FINDINGS_PER_CODE:
            file = f'{self.name}, sheet "{self.sheet}"' if self.sheet and line is not None else self.name
            self.findings.append(Finding(code, message, fix, file, line, column, self.row_count if row else None))
        self.row_count += row

    def fatal_error(self, code: str, message: str, fix: str = "", *, line: int | None = None,
                    column: int | None = None) -> DataError:
        """The error for what makes the whole file unusable, with all findings so far."""
        self.add_finding(code, message, fix, line=line, column=column)
        faults = [finding for finding in self.findings if finding.level == "fault"]
        return DataError(faults, counts=self.counts)

    def no_rows_error(self, code: str, message: str, fix: str) -> NoRows:
        """The error for a file that is whole and holds no rows."""
        error = self.fatal_error(code, message, fix)
        no_rows = NoRows(error.findings, counts=error.counts)
        no_rows.builder = self
        return no_rows

    def add_surrogate_finding(self, line: int | None, column: int | None = None) -> None:
        """A row with bytes that are not UTF-8 (their place is known), or with half of a character of two code units."""
        place = max(self.next_bad_byte, bisect.bisect_left(self.bad_bytes, (line or 0, 0, 0)))
        if place >= len(self.bad_bytes):
            self.add_finding("E125", "a text of the row holds half a character (a lone surrogate, as a cut emoji "
                             "leaves it).", f"Write the whole character, or {SKIP}", line=line, column=column, row=True)
            return
        self.next_bad_byte = place + 1
        bad_line, bad_column, byte = self.bad_bytes[place]
        meant = bytes([byte]).decode("cp1252", errors="replace")
        hint = f"In cp1252 it is {meant!r}; write" if meant.isprintable() and meant != "\ufffd" else "Write"
        self.add_finding("E103", f"the byte 0x{byte:02X} is not UTF-8, in which the rest of the file is.",
                         f"{hint} the text again as UTF-8, or {SKIP}", line=bad_line, column=bad_column, row=True)

    def note_types(self, values: Sequence[Any]) -> None:
        """Remember which columns hold numbers, texts, lists and so on (JSON and parquet know)."""
        for column_index, value in enumerate(values):
            if value is not None:
                kind = "numbers" if isinstance(value, int | float) and not isinstance(value, bool) else \
                    VALUE_KINDS.get(type(value), type(value).__name__)
                self.types.setdefault(column_index, set()).add(kind)

    def finish(self) -> None:
        """The end of the file: the findings that need all rows."""
        if self.bad_bytes and not self.counts["E103"]:  # in a header, a comment, a line that is left out
            self.add_finding("E103", f"the byte 0x{self.bad_bytes[0][2]:02X} is not UTF-8, in which the rest of the "
                             "file is.", "Write it again as UTF-8.", line=self.bad_bytes[0][0],
                             column=self.bad_bytes[0][1])
        self.store.column_count = len(self.columns)
        for column_index, kinds in sorted(self.types.items()):
            if len(kinds) > 1:
                first, *further_kinds = sorted(kinds)
                reading = "All of it is read as text; write" if kinds == {"numbers", "texts"} else "Write"
                self.add_finding("W101", f'column "{self.columns[column_index]}" holds {first} in some rows and '
                                 f'{" and ".join(further_kinds)} in others.',
                                 f"{reading} it one way to be sure what is meant.")
        if not self.row_count and not any(code[0] == "E" for code in self.counts):
            raise self.no_rows_error("E102", "the file has a header and no rows.",
                                     "Check that the right file was written.")
        if not len(self.store) and self.counts:  # every row is faulty: nothing is left to look at
            faults = [finding for finding in self.findings if finding.level == "fault"]
            raise DataError(faults, counts=self.counts)


def holds_surrogate(values: Iterable[Any]) -> bool:
    """Whether any text among values, or in lists and objects among them, holds half a character."""
    for value in values:
        if isinstance(value, str):
            if not value.isascii() and SURROGATE.search(value):
                return True
        elif isinstance(value, dict):
            if holds_surrogate(value) or holds_surrogate(value.values()):
                return True
        elif isinstance(value, list | tuple) and holds_surrogate(value):
            return True
    return False
