"""What a reader fills while it goes through a file: columns, rows, and everything found on the way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from headstart.data.row_store import SPILL, Store
from headstart.errors import DataError, Finding

KEPT = 100  # findings of each code that are kept in full; the others are counted
SKIP = "pass --bad-rows skip to leave such rows out (they are counted and listed)."


class Sheet:
    """Columns, rows and findings of one file under the name the user knows it by."""

    def __init__(self, name: str, spill: int = SPILL) -> None:
        self.name = name
        self.columns: tuple[str, ...] = ()
        self.store = Store(spill)
        self.findings: list[Finding] = []
        self.counts: Counter[str] = Counter()
        self.words: list[str] = []  # how the file was read
        self.seen = 0  # rows so far, faulty ones counted
        self.types: dict[int, set[str]] = {}

    def row(self, values: tuple[Any, ...], line: int | None, size: int) -> None:
        """One good row."""
        self.store.append(self.seen, values, line, size)
        self.seen += 1

    def found(self, code: str, message: str, fix: str = "", *, line: int | None = None, column: int | None = None,
              row: bool = False) -> None:
        """One more finding; with `row`, it is about the row that comes now, which is left out."""
        self.counts[code] += 1
        if self.counts[code] <= KEPT:
            self.findings.append(Finding(code, message, fix, self.name, line, column, self.seen if row else None))
        self.seen += row

    def stop(self, code: str, message: str, fix: str = "", *, line: int | None = None, column: int | None = None) -> DataError:
        """The error for what makes the whole file unusable, with all that was found before."""
        self.found(code, message, fix, line=line, column=column)
        faults = [finding for finding in self.findings if finding.level == "fault"]
        return DataError(faults, counts=self.counts)

    def note_types(self, values: Sequence[Any]) -> None:
        """Remember which columns hold numbers and which texts (JSON and parquet know)."""
        for place, value in enumerate(values):
            if value is not None:
                kind = "numbers" if isinstance(value, int | float) and not isinstance(value, bool) else \
                    "texts" if isinstance(value, str) else type(value).__name__
                self.types.setdefault(place, set()).add(kind)

    def finish(self) -> None:
        """The end of the file: what can only be said now."""
        self.store.width = len(self.columns)
        self.store.close()
        for place, kinds in sorted(self.types.items()):
            if {"numbers", "texts"} <= kinds:
                self.found("W101", f'column "{self.columns[place]}" holds numbers in some rows and texts in others.',
                           "All of it is read as text; write it one way to be sure what is meant.")
        if not self.seen and not any(code[0] == "E" for code in self.counts):
            raise self.stop("E102", "the file has a header and no rows.", "Check that the right file was written.")
        if not len(self.store) and self.counts:  # every row is faulty: nothing is left to look at
            faults = [finding for finding in self.findings if finding.level == "fault"]
            raise DataError(faults, counts=self.counts)
