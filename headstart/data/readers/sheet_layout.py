"""Where the table of a sheet is: its header row, the lines above it, its columns."""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from headstart.errors import column_letters

SAMPLE_ROWS = 200  # rows in which the header is looked for
HEADER_SHARE = 0.6  # of the cells that the fullest row fills, those that a header fills at least
Cells = Sequence[Any]


@dataclass(frozen=True)
class SheetLayout:
    """A sheet's table: the places (from 0) of its header row and its first and last row, the columns that it fills."""

    header: int | None  # None without a header
    first: int
    last: int  # of the rows; before `first` where there is none
    columns: tuple[int, ...]  # columns that hold a name or a value, from 0 at the sheet's first column
    empty_columns: int  # columns between them that hold nothing
    empty_rows: int  # rows among the others that hold nothing

    @property
    def row_count(self) -> int:
        """The rows that hold something."""
        return max(0, self.last - self.first + 1 - self.empty_rows)


def find_layout(rows: Iterable[Cells], *, has_header: bool) -> SheetLayout | None:
    """The table of a sheet's rows; None for a sheet without anything in it."""
    sample: list[Cells] = []
    cell_counts: Counter[int] = Counter()
    full_rows: list[int] = []  # places of rows that hold something
    for index, row in enumerate(rows):
        if index < SAMPLE_ROWS:
            sample.append(row)
        places = [place for place, cell in enumerate(row) if not is_empty(cell)]
        if places:
            full_rows.append(index)
            cell_counts.update(places)
    if not full_rows:
        return None
    header = find_header(sample) if has_header else None
    first = full_rows[0] if header is None else header + 1
    table_rows = [index for index in full_rows if index >= first]
    above = Counter(place for row in sample[:first - 1 if header is not None else 0]
                    for place, cell in enumerate(row) if not is_empty(cell))
    columns = tuple(sorted(place for place, count in cell_counts.items() if count > above[place]))
    return SheetLayout(header, first, table_rows[-1] if table_rows else first - 1, columns,
                       columns[-1] - columns[0] + 1 - len(columns),
                       table_rows[-1] - first + 1 - len(table_rows) if table_rows else 0)


def find_header(sample: Sequence[Cells]) -> int:
    """The row that names the columns: the first that fills most of them and has a row right below it.

    Titles, dates of export and the like above it fill fewer cells, or an empty row parts them from it.
    """
    counts = [sum(not is_empty(cell) for cell in row) for row in sample]
    enough = HEADER_SHARE * max(counts)
    candidates = [index for index, count in enumerate(counts) if count and count >= enough]
    for index in candidates:
        if index + 1 < len(counts) and counts[index + 1]:
            return index
    return candidates[0]


def is_empty(cell: Any) -> bool:
    """Whether a cell holds nothing."""
    return cell is None or cell == ""


def cell_value(cell: Any) -> Any:
    """A cell as JSON has it: whole numbers without .0, dates in ISO form, durations as 30:00:00; None for nothing."""
    if is_empty(cell):
        return None
    if isinstance(cell, float):
        return int(cell) if cell.is_integer() else cell
    if isinstance(cell, datetime.timedelta):
        seconds = round(cell.total_seconds())
        return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    if isinstance(cell, datetime.date | datetime.time):
        return cell.isoformat()
    return cell


def column_names(header: Cells | None, layout: SheetLayout, first_column: int) -> tuple[list[str], dict[str, str]]:
    """The name of each column, and those that share theirs with another, with the reason.

    A column without a name is called by its letter; of two with one name each is called by name and letter.
    """
    letters = [column_letters(first_column + place + 1) for place in layout.columns]
    if header is None:
        return [str(index) for index in range(len(letters))], {}
    names = ["" if place >= len(header) or is_empty(header[place]) else str(cell_value(header[place])).strip()
             for place in layout.columns]
    counts = Counter(names)
    full_names = [f"column {letter}" if not name else f"{name} (column {letter})" if counts[name] > 1 else name
                  for name, letter in zip(names, letters, strict=True)]
    ambiguous = {full: f'{counts[name]} columns are called "{name}"'
                 for full, name in zip(full_names, names, strict=True) if name and counts[name] > 1}
    return full_names, ambiguous
