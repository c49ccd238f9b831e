"""Excel and OpenDocument workbooks (.xlsx, .xlsm, .xlsb, .xls, .ods) through python-calamine: one sheet's table."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from functools import cache, partial
from itertools import islice
from pathlib import Path
from typing import Any

from headstart.data.readers.arrow_file import plain_file
from headstart.data.readers.binary_formats import OLE_MARK
from headstart.data.readers.csv_dialect import looks_like_data
from headstart.data.readers.excel_sheets import SheetChoice, choose_sheet
from headstart.data.readers.sheet_layout import cell_value, column_names, is_empty
from headstart.data.readers.source_file import SourceFile
from headstart.data.readers.table_builder import SKIP, TableBuilder
from headstart.data.readers.workbook_parts import check_cells, check_size, read_marks
from headstart.data.readers.workbook_probe import check_opening
from headstart.errors import Exit, UserError, column_letters, first_names
from headstart.settings import Data

LOCKED = "EncryptedPackage".encode("utf-16-le")  # the stream that holds a workbook with a password (MS-OFFCRYPTO 2.3)
EXAMPLE_ROWS = 20  # rows below the header that tell whether it is one
MAX_SHOWN = 60  # characters of a line above the header


def read(source_file: SourceFile, builder: TableBuilder, settings: Data, start: bytes, suffix: str) -> None:
    """Fill the table from one sheet; raises DataError for damage, a password, no table; UserError (69) without
    python-calamine, (2) where several sheets are tables.
    """
    calamine = import_calamine(builder.name)
    if source_file.is_workbook:
        check_size(source_file.path, builder)
    elif start.startswith(OLE_MARK) and LOCKED in Path(source_file.path).read_bytes():
        raise locked_error(builder)
    with plain_file(source_file, builder) as path, workbook_errors(calamine, builder, source_file.is_workbook):
        marks_of = cache(partial(read_marks, path, builder=builder))  # a sheet's XML is read once
        if source_file.is_workbook:
            check_cells(path, marks_of)
        check_opening(path, builder)
        with open(path, "rb") as file, calamine.CalamineWorkbook.from_filelike(file) as workbook:
            fill(builder, choose_sheet(workbook, marks_of, builder, settings), settings)


def import_calamine(file_name: str) -> Any:
    """python-calamine; raises UserError (69) where it is missing."""
    try:
        import python_calamine
    except ImportError:
        raise UserError(f"Reading {file_name} (a workbook) needs python-calamine.",
                        fix="pip install 'headstart[excel]', or save the sheet as csv (UTF-8).",
                        exit=Exit.UNAVAILABLE) from None
    return python_calamine


def locked_error(builder: TableBuilder) -> Exception:
    """The error for a workbook with a password."""
    return builder.fatal_error("E128", "the workbook is locked with a password.",
                               "Save a copy without one, or its sheet as csv (UTF-8).")


@contextlib.contextmanager
def workbook_errors(calamine: Any, builder: TableBuilder, is_zip: bool) -> Iterator[None]:
    """What the library raises for a file that it cannot read, in the user's words; a zip is known to be a workbook."""
    try:
        yield
    except calamine.PasswordError:
        raise locked_error(builder) from None
    except calamine.CalamineError as error:
        if "detect file format" in str(error) and not is_zip:
            raise builder.fatal_error("E112", "the file is an Office file without a workbook in it.",
                                      "Give a workbook, or a table as csv (UTF-8).") from None
        raise builder.fatal_error("E113", f"the workbook is damaged or cut off ({str(error)[:200]}).",
                                  "Copy it again, or open it and save it again.") from None
    except BaseException as error:
        # Rust's panic reaches Python as a class of its own, outside Exception.
        if type(error).__name__ != "PanicException":
            raise
        raise builder.fatal_error("E113", f"the workbook is damaged ({str(error)[:200]}).",
                                  "Open it and save it again.") from None


def fill(builder: TableBuilder, choice: SheetChoice, settings: Data) -> None:
    """The rows of a sheet, each as a row or as a fault with its cell."""
    layout = choice.layout
    builder.sheet = choice.sheet.name
    builder.format_parts.append(choice.words)
    builder.layout |= {"sheet": choice.sheet.name,
                       "header_row": "" if layout.header is None else str(layout.header + 1)}
    first_column = choice.sheet.start[1]
    builder.column_numbers = tuple(first_column + place + 1 for place in layout.columns)
    rows = list(islice(choice.sheet.iter_rows(), layout.first + EXAMPLE_ROWS))
    names, builder.ambiguous_columns = column_names(None if layout.header is None else rows[layout.header], layout,
                                                    first_column)
    builder.columns = tuple(names)
    if layout.header is not None:
        refuse_data_as_header(builder, layout.header, layout.columns, rows[layout.header:])
    merged = MergedCells(choice)
    add_remarks(builder, choice, merged.count, rows, settings)
    errors: dict[int, list[tuple[int, str]]] = {}
    for (row, column), text in choice.marks.errors.items():
        errors.setdefault(row, []).append((column, text))
    for index, cells in enumerate(choice.sheet.iter_rows()):
        if index < layout.first or index > layout.last:
            continue
        is_blank = all(map(is_empty, cells))
        row_cells = merged.with_values(index, [cells[place] for place in layout.columns])
        if index + 1 in errors:
            column, text = min(errors[index + 1])
            builder.add_finding("E127", f"the cell holds an error ({text}).", f"Correct the formula, or {SKIP}",
                                line=index + 1, column=column, row=True)
        elif not is_blank:
            add_row(builder, index + 1, row_cells)


def add_row(builder: TableBuilder, row: int, cells: Sequence[Any]) -> None:
    """One row of a sheet."""
    values = tuple(map(cell_value, cells))
    nul = next((place for place, value in enumerate(values) if isinstance(value, str) and "\0" in value), None)
    if nul is not None and builder.column_numbers is not None:
        builder.add_finding("E106", "the cell contains a NUL character.", f"Write it again without it, or {SKIP}",
                            line=row, column=builder.column_numbers[nul], row=True)
        return
    builder.note_types(values)
    builder.add_row(values, row, sum(len(value) if isinstance(value, str) else 30 for value in values) + 60)


def refuse_data_as_header(builder: TableBuilder, header: int, columns: Sequence[int],
                          rows: Sequence[Sequence[Any]]) -> None:
    """Refuse a header that looks like a row; raises DataError (E108)."""
    texts = [["" if is_empty(row[place]) else str(cell_value(row[place])) for place in columns] for row in rows]
    reason = looks_like_data(texts[0], texts[1:])
    if reason is not None:
        raise builder.fatal_error("E108", f"row {header + 1} looks like data, not like the names of columns: {reason}.",
                                  "Add a row with names, or pass --no-header to call the columns 0, 1, 2 …",
                                  line=header + 1)


def add_remarks(builder: TableBuilder, choice: SheetChoice, merged_count: int, rows: Sequence[Sequence[Any]],
                settings: Data) -> None:
    """What stands in the workbook and is no row, and what its formulas lack."""
    layout = choice.layout
    remarks = list(choice.remarks)
    above = [next(str(cell_value(cell)) for cell in row if not is_empty(cell))
             for row in rows[:layout.header or 0] if not all(map(is_empty, row))]
    if above:
        first_lines = first_names([repr(text[:MAX_SHOWN]) for text in above], 3)
        lines = "a line above the header is" if len(above) == 1 else "lines above the header are"
        remarks.append(f"{lines} not read: {first_lines}")
    unnamed = [name for name in builder.columns if settings.header and name.startswith("column ")]
    if unnamed:
        remarks.append(f"columns without a name in the header: {', '.join(unnamed[:10])}")
    if merged_count:
        remarks.append(f"{merged_count:,} {'cell is' if merged_count == 1 else 'cells are'} merged over several rows, "
                       "and each of these rows has the value")
    if remarks:
        builder.add_finding("N113", f'sheet "{builder.sheet}": {"; ".join(remarks)}.')
    for name, reason in builder.ambiguous_columns.items():
        builder.add_finding("N112", f'{reason}; this one is "{name}" here.', "Rename it, or name the right one.")
    if layout.empty_rows:
        builder.add_finding("N107", f"{layout.empty_rows:,} empty {'row is' if layout.empty_rows == 1 else 'rows are'} "
                            "left out.")
    if layout.empty_columns:
        columns = "column is" if layout.empty_columns == 1 else "columns are"
        builder.add_finding("N109", f"{layout.empty_columns:,} empty {columns} left out.")
    for column, count in sorted(choice.marks.unsaved.items()):
        builder.add_finding("W106", f"column {column_letters(column)}: {count:,} "
                            f"{'formula has' if count == 1 else 'formulas have'} no value in the file; read as empty.",
                            "Open the workbook in a spreadsheet program and save it: that computes them.")


class MergedCells:
    """Cells that are merged over several rows: each of these rows has the value."""

    def __init__(self, choice: SheetChoice) -> None:
        layout, first_column = choice.layout, choice.sheet.start[1]
        self.starts: dict[int, list[tuple[int, int]]] = {}  # row -> places among the columns, last rows
        self.active: dict[int, tuple[int, Any]] = {}  # place -> last row, value
        self.count = 0
        for (top, column), (bottom, _) in choice.sheet.merged_cell_ranges or ():
            if bottom > top >= layout.first and column - first_column in layout.columns:
                self.starts.setdefault(top, []).append((layout.columns.index(column - first_column), bottom))
                self.count += 1

    def with_values(self, index: int, cells: list[Any]) -> list[Any]:
        """A row's cells with the values of those that reach down to it."""
        for place, bottom in self.starts.get(index, ()):
            self.active[place] = bottom, cells[place]
        for place, (bottom, value) in list(self.active.items()):
            if index > bottom:
                del self.active[place]
            elif is_empty(cells[place]):
                cells[place] = value
        return cells
