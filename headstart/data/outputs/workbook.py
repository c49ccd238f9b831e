"""Excel workbooks (.xlsx) through openpyxl: texts as texts, whatever they begin with."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import IO, Any

from headstart.data.outputs.layout import Layout, refuse_large_sheet
from headstart.data.outputs.sheet_dates import DATES
from headstart.data.outputs.writer import Row, cell_text, finite
from headstart.errors import Exit, UserError

MAX_TEXT = 32_767  # characters of a cell
EXACT = 10**15  # whole numbers from which on a cell, which holds 15 digits, is a text
# How a workbook holds characters that XML has not (ECMA-376, part 1, 22.9.2.19), and texts that look like such a sign.
ESCAPED = re.compile("[\0-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]|_(?=x[0-9A-Fa-f]{4}_)")


class WorkbookWriter:
    """One sheet: a line of names where the layout has one, then a line a row."""

    def __init__(self, stream: IO[bytes], columns: Sequence[str], layout: Layout) -> None:
        try:
            import openpyxl
        except ImportError:
            raise UserError("Writing .xlsx needs openpyxl.", fix="pip install 'headstart[excel]'",
                            exit=Exit.UNAVAILABLE) from None
        self.stream, self.columns, self.count = stream, list(columns), 0
        self.book = openpyxl.Workbook(write_only=True)
        self.sheet = self.book.create_sheet("Sheet1")
        if layout.has_header:
            self.add([self.text_cell(name, name) for name in self.columns])

    def write(self, row: Row) -> None:
        """One line; raises UserError (65) for more rows than a sheet has, and for a text that is too long for a cell.
        """
        self.add([self.cell(row.get(name), name) for name in self.columns])

    def add(self, cells: list[Any]) -> None:
        """One line of cells."""
        self.count += 1
        refuse_large_sheet(self.count)
        self.sheet.append(cells)

    def cell(self, value: Any, column: str) -> Any:
        """A value as a cell: numbers and dates as they are, all else as text."""
        if isinstance(value, float):
            return finite(value)
        if value is None or isinstance(value, (bool, *DATES)) or (isinstance(value, int) and abs(value) < EXACT):
            return value
        return self.text_cell(cell_text(value), column)

    def text_cell(self, text: str, column: str) -> Any:
        """A text as a cell that is no formula and no error, whatever it looks like."""
        from openpyxl.cell import WriteOnlyCell

        if len(text) > MAX_TEXT:
            raise UserError(f'row {self.count}: "{column}" has {len(text):,} characters, and a cell of Excel holds '
                            f"{MAX_TEXT:,}.", fix="Name another format: --to out.csv or out.jsonl", exit=Exit.DATA)
        cell = WriteOnlyCell(self.sheet, ESCAPED.sub(lambda match: f"_x{ord(match.group()):04X}_", text))
        cell.data_type = "s"
        return cell

    def discard(self) -> None:
        """No file after all: what the library keeps aside is closed and removed."""
        self.sheet.close()
        self.sheet._writer.cleanup()

    def close(self) -> list[str]:
        """The file."""
        self.book.save(self.stream)
        return []
