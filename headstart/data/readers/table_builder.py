"""What a reader fills while it reads a file: columns, rows and findings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from headstart.data.row_store import MEMORY_LIMIT, RowStore
from headstart.errors import DataError, Finding

FINDINGS_PER_CODE = 100  # findings of each code that are kept in full; the others are counted
SKIP = "pass --bad-rows skip to leave such rows out (they are counted and listed)."


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

    def add_row(self, values: tuple[Any, ...], line: int | None, size: int) -> None:
        """One valid row."""
        self.store.append(self.row_count, values, line, size)
        self.row_count += 1

    def add_finding(self, code: str, message: str, fix: str = "", *, line: int | None = None, column: int | None = None,
                    row: bool = False) -> None:
        """One more finding; with `row`, it is about the current row, which is left out."""
        self.counts[code] += 1
        if self.counts[code] <= FINDINGS_PER_CODE:
            self.findings.append(Finding(code, message, fix, self.name, line, column, self.row_count if row else None))
        self.row_count += row

    def fatal_error(self, code: str, message: str, fix: str = "", *, line: int | None = None,
                    column: int | None = None) -> DataError:
        """The error for what makes the whole file unusable, with all findings so far."""
        self.add_finding(code, message, fix, line=line, column=column)
        faults = [finding for finding in self.findings if finding.level == "fault"]
        return DataError(faults, counts=self.counts)

    def note_types(self, values: Sequence[Any]) -> None:
        """Remember which columns hold numbers and which texts (JSON and parquet know)."""
        for column_index, value in enumerate(values):
            if value is not None:
                kind = "numbers" if isinstance(value, int | float) and not isinstance(value, bool) else \
                    "texts" if isinstance(value, str) else type(value).__name__
                self.types.setdefault(column_index, set()).add(kind)

    def finish(self) -> None:
        """The end of the file: the findings that need all rows."""
        self.store.column_count = len(self.columns)
        self.store.close()
        for column_index, kinds in sorted(self.types.items()):
            if {"numbers", "texts"} <= kinds:
                self.add_finding("W101", f'column "{self.columns[column_index]}" holds numbers in some rows and texts '
                                 'in others.',
                                 "All of it is read as text; write it one way to be sure what is meant.")
        if not self.row_count and not any(code[0] == "E" for code in self.counts):
            raise self.fatal_error("E102", "the file has a header and no rows.",
                                   "Check that the right file was written.")
        if not len(self.store) and self.counts:  # every row is faulty: nothing is left to look at
            faults = [finding for finding in self.findings if finding.level == "fault"]
            raise DataError(faults, counts=self.counts)
