"""Which sheet of a workbook is the table: the one that was named, else the only one that is one, else a question."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from headstart.data.readers.sheet_layout import SheetLayout, find_layout
from headstart.data.readers.table_builder import TableBuilder
from headstart.data.readers.workbook_parts import SheetMarks
from headstart.errors import Exit, UserError, first_names, nearest
from headstart.settings import Data

NEAR_SHARE = 0.1  # a second sheet with this share of the first one's cells is as likely
MAX_NAMED = 10


@dataclass(frozen=True)
class SheetChoice:
    """The sheet that is read, what its file says, and what is told of it and of the others."""

    sheet: Any  # of python-calamine
    layout: SheetLayout
    marks: SheetMarks
    words: str
    remarks: tuple[str, ...] = ()


def choose_sheet(workbook: Any, marks_of: Callable[[str], SheetMarks], builder: TableBuilder,
                 settings: Data) -> SheetChoice:
    """The sheet to read; raises UserError (2) where several are as likely, (78) for one that is not there, and
    DataError (E101) where no sheet holds anything.
    """
    sheets = [(number, entry) for number, entry in enumerate(workbook.sheets_metadata, start=1)
              if str(entry.typ) == "SheetTypeEnum.WorkSheet"]
    if settings.sheet:
        number = named_sheet(settings.sheet, sheets, builder.name)
        choice = find_table(workbook, number, marks_of, settings)
        if choice is None:
            raise builder.fatal_error("E101", f'the sheet "{name_of(sheets, number)}" is empty.', "Name another one: "
                                      f"{listing(sheets)}.")
        return with_words(choice, f"of {len(sheets)}, you chose it" if len(sheets) > 1 else "", ())
    visible = [number for number, entry in sheets if is_visible(entry)]
    choices = {number: choice for number in visible
               if (choice := find_table(workbook, number, marks_of, settings)) is not None}
    hidden = [number for number, _ in sheets if number not in visible]
    if not choices:
        choices = {number: choice for number in hidden
                   if (choice := find_table(workbook, number, marks_of, settings)) is not None}
    if not choices:
        raise builder.fatal_error("E101", "no sheet of the workbook holds anything.", "Check that it is the right one.")
    order = sorted(choices, key=lambda number: -cell_count(choices[number].layout))
    refuse_near_sheets(choices, order, builder)
    other_sheets = [f'"{name_of(sheets, number)}" ({extent(choices[number].layout)})' for number in order[1:]]
    remarks = [f"other sheets are not read: {', '.join(other_sheets[:MAX_NAMED])}"] if other_sheets else []
    if hidden and order[0] in visible:
        names = ", ".join(f'"{name_of(sheets, number)}"' for number in hidden[:MAX_NAMED])
        remarks.append(f"{'hidden sheets are' if len(hidden) > 1 else 'a hidden sheet is'} not read: {names}")
    return with_words(choices[order[0]], f"of {len(sheets)}" if len(sheets) > 1 else "", tuple(remarks))


def with_words(choice: SheetChoice, place: str, remarks: tuple[str, ...]) -> SheetChoice:
    """A choice with how it is told."""
    header = choice.layout.header
    words = [f'sheet "{choice.sheet.name}"' + (f" ({place})" if place else ""),
             *([] if header is None else [f"header in row {header + 1}"])]
    return SheetChoice(choice.sheet, choice.layout, choice.marks, ", ".join(words), remarks)


def find_table(workbook: Any, number: int, marks_of: Callable[[str], SheetMarks],
               settings: Data) -> SheetChoice | None:
    """A sheet with its table; None for an empty one."""
    marks = marks_of(workbook.sheet_names[number - 1])
    sheet = workbook.get_sheet_by_index(number - 1)
    layout = find_layout(sheet.iter_rows(), has_header=settings.header) if sheet.start is not None else None
    return None if layout is None else SheetChoice(sheet, layout, marks, "")


def extent(layout: SheetLayout) -> str:
    """How many rows a sheet has, in words."""
    return f"{layout.row_count:,} rows" if layout.row_count > 1 else "no table"


def cell_count(layout: SheetLayout) -> int:
    """How many cells a sheet's table has; a few for what is no table (a note, a single number)."""
    return layout.row_count * len(layout.columns) if len(layout.columns) > 1 else min(1, layout.row_count)


def refuse_near_sheets(choices: dict[int, SheetChoice], order: Sequence[int], builder: TableBuilder) -> None:
    """Ask which sheet is meant where a second one is about as large a table; raises UserError (2)."""
    first_count = cell_count(choices[order[0]].layout)
    near_sheets = [number for number in order if cell_count(choices[number].layout) >= max(1, NEAR_SHARE * first_count)]
    if len(near_sheets) < 2:
        return
    names = [f'"{choices[number].sheet.name}" ({choices[number].layout.row_count:,} rows)' for number in near_sheets]
    options = " or ".join(f"--sheet {shlex.quote(choices[number].sheet.name)}" for number in near_sheets[:MAX_NAMED])
    raise UserError(f"{builder.name}: several sheets are tables: {', '.join(names[:MAX_NAMED])}.",
                    fix=f"Choose: {options}.")


def named_sheet(name: str, sheets: Sequence[tuple[int, Any]], file_name: str) -> int:
    """The number of the sheet of this name, else with this number; raises UserError (78)."""
    exact = [number for number, entry in sheets if entry.name == name]
    similar = [number for number, entry in sheets if str(entry.name).strip().casefold() == name.strip().casefold()]
    if exact or similar:
        return (exact or similar)[0]
    if name.isdecimal() and int(name) in (number for number, _ in sheets):
        return int(name)
    guess = nearest(name, [entry.name for _, entry in sheets])
    raise UserError(f"{file_name} has no sheet {name!r}; there are {listing(sheets)}.",
                    fix=f"Did you mean --sheet {shlex.quote(guess)}?" if guess else "Name one of them, or its number.",
                    exit=Exit.SETTINGS)


def listing(sheets: Sequence[tuple[int, Any]]) -> str:
    """Sheets with their numbers, in words."""
    words = [f'{number} "{entry.name}"' + ("" if is_visible(entry) else " (hidden)") for number, entry in sheets]
    return first_names(words, 20) if words else "none"


def name_of(sheets: Sequence[tuple[int, Any]], number: int) -> str:
    """The name of the sheet with a number."""
    return next(str(entry.name) for sheet_number, entry in sheets if sheet_number == number)


def is_visible(entry: Any) -> bool:
    """Whether a sheet is shown."""
    return str(entry.visible) == "SheetVisibleEnum.Visible"
