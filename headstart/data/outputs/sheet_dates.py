"""The dates and times of an input that is a workbook, as such: rows that were read hold them as texts."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from headstart.data.table import Table

DATES = (datetime.date, datetime.time, datetime.timedelta)  # a datetime is a date


class SheetDates:
    """Gives the dates of rows that are asked for from the top of the sheet to its end."""

    def __init__(self, table: Table) -> None:
        self.rows = dated_rows(table)
        self.line, self.dates = 0, dict[str, Any]()

    def of_line(self, line: int | None) -> Mapping[str, Any]:
        """The dates of a row of the sheet, counted from 1, by the names of their columns."""
        while line is not None and self.line < line:
            self.line, self.dates = next(self.rows, (line, {}))
        return self.dates if self.line == line else {}


def dated_rows(table: Table) -> Iterator[tuple[int, dict[str, Any]]]:
    """Each row of the sheet that a table was read from: its number from 1, and its dates."""
    import python_calamine

    with python_calamine.CalamineWorkbook.from_path(table.path) as workbook:
        sheet = workbook.get_sheet_by_name(table.builder.sheet)
        first = sheet.start[1] if sheet.start is not None else 0
        places = [(name, number - 1 - first)
                  for name, number in zip(table.columns, table.builder.column_numbers or (), strict=False)]
        for index, cells in enumerate(sheet.iter_rows()):
            yield index + 1, {name: cells[place] for name, place in places if isinstance(cells[place], DATES)}
