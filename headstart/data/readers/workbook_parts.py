"""What a workbook's own files say and its reader does not: cells with errors, formulas without values, its real size.

An .xlsx or .ods is a zip of XML files (ECMA-376 part 1, 18.3; OpenDocument 1.3 part 3, 9.1).
"""

from __future__ import annotations

import html
import re
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from headstart.data.readers.compression import DAMAGE
from headstart.data.readers.opendocument import error_cells
from headstart.data.readers.table_builder import TableBuilder

CHUNK = 2**20
MAX_CELL = 2**18  # bytes of one cell's XML: a cell holds 32,767 characters
MAX_CELLS = 2**26  # cells of a sheet, empty ones counted: its reader holds them all
MAX_MARKS = 100_000  # cells with errors that are kept
READ_PARTS = ("xl/", "content.xml", "META-INF/", "_rels/", "[Content_Types].xml", "styles.xml", "mimetype")
UNREAD_PARTS = ("xl/media/", "xl/drawings/", "xl/embeddings/", "xl/theme/", "xl/charts/")
ERROR_CELL = re.compile(rb'<(?:\w+:)?c\s(?P<attributes>[^>]*?\bt="e"[^>]*)>(?P<content>.*?)</(?:\w+:)?c>', re.DOTALL)
UNSAVED_CELL = re.compile(rb'<(?:\w+:)?c\s(?P<attributes>[^>/]*)>\s*<(?:\w+:)?f\b(?:[^>]*/>|[^>]*>[^<]*</(?:\w+:)?f>)'
                          rb'\s*(?:<(?:\w+:)?v\s*/>|<(?:\w+:)?v></(?:\w+:)?v>)?\s*</(?:\w+:)?c>')
REFERENCE = re.compile(rb'\br="([A-Z]{1,3})([0-9]{1,7})"')
ROW = re.compile(rb'<(?:\w+:)?row\s[^>]*?\br="([0-9]{1,7})"')
COLUMNS = re.compile(rb'\br="([A-Z]{1,3})[0-9]')
VALUE = re.compile(rb"<(?:\w+:)?v>([^<]*)</")
Cell = tuple[int, int]  # row and column, from 1


@dataclass
class SheetMarks:
    """What stands in a sheet's file: its cells with errors, formulas without values by column, its last cell."""

    errors: dict[Cell, str] = field(default_factory=dict)
    unsaved: Counter[int] = field(default_factory=Counter)  # by column
    last_row: int = 0
    last_column: int = 0


def check_size(path: str, builder: TableBuilder) -> None:
    """Refuse a workbook that unpacks to more than data.max_bytes (E121) or is damaged (E113); reads it once.

    The sizes that a zip states may be wrong; Python's zipfile stops at them and finds the checksum wrong.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            parts = [entry for entry in archive.infolist() if entry.filename.startswith(READ_PARTS)
                     and not entry.filename.startswith(UNREAD_PARTS)]
            size = sum(entry.file_size for entry in parts)
            if size > builder.max_bytes:
                raise builder.fatal_error("E121", f"the workbook holds {size:,} bytes unpacked, at most "
                                          f"{builder.max_bytes:,} are read.",
                                          "If that is right, allow more: --set data.max_bytes=BYTES")
            for entry in parts:
                with archive.open(entry) as file:
                    while file.read(CHUNK):
                        pass
    except (*DAMAGE, RuntimeError, NotImplementedError, ValueError) as error:
        raise builder.fatal_error("E113", f"the workbook is damaged or cut off ({error}).",
                                  "Copy it again, or open it and save it again.") from None


def sheet_parts(archive: zipfile.ZipFile) -> dict[str, str]:
    """The file of each sheet by the sheet's name; {} where the workbook is laid out in another way."""
    names = set(archive.namelist())
    if not {"xl/workbook.xml", "xl/_rels/workbook.xml.rels"} <= names:
        return {}
    targets = {}
    for tag in re.findall(r"<(?:\w+:)?Relationship\s[^>]*>", read_text(archive, "xl/_rels/workbook.xml.rels")):
        attributes = attributes_of(tag)
        target = attributes.get("Target", "")
        targets[attributes.get("Id", "")] = target.removeprefix("/") if target.startswith("/") else f"xl/{target}"
    parts = {}
    for tag in re.findall(r"<(?:\w+:)?sheet\s[^>]*>", read_text(archive, "xl/workbook.xml")):
        attributes = attributes_of(tag)
        identifier = next((value for key, value in attributes.items() if key.endswith(":id")), "")
        parts[attributes.get("name", "")] = targets.get(identifier, "")
    return {name: part for name, part in parts.items() if part in names and part.startswith("xl/worksheets/")}


def read_text(archive: zipfile.ZipFile, name: str) -> str:
    """A small part as text."""
    with archive.open(name) as file:
        return file.read(2**24).decode("utf-8", errors="replace")


def attributes_of(tag: str) -> dict[str, str]:
    """The attributes of an XML tag."""
    return {name: html.unescape(text) for name, text in re.findall(r'([\w:]+)\s*=\s*"([^"]*)"', tag)}


def check_cells(path: str, marks_of: Callable[[str], SheetMarks]) -> None:
    """Refuse a workbook one of whose sheets has too many cells (E121), before its reader takes memory for them."""
    with zipfile.ZipFile(path) as archive:
        names = list(sheet_parts(archive))
    for name in names:
        marks_of(name)


def read_marks(path: str, sheet: str, builder: TableBuilder) -> SheetMarks:
    """What a sheet's file says; of .ods its errors alone, of .xlsb and .xls nothing.

    Raises DataError (E121) for a sheet with too many cells.
    """
    marks = SheetMarks()
    if not zipfile.is_zipfile(path):
        return marks
    with zipfile.ZipFile(path) as archive:
        if "content.xml" in archive.namelist():
            marks.errors = error_cells(archive, sheet)
        part = sheet_parts(archive).get(sheet)
        if part is None or not part.endswith(".xml"):
            return marks
        for chunk in chunks(archive, part):
            add_marks(marks, chunk)
    if marks.last_row * marks.last_column > MAX_CELLS:
        raise builder.fatal_error("E121", f'the sheet "{sheet}" reaches to row {marks.last_row:,} and column '
                                  f"{marks.last_column:,}: {marks.last_row * marks.last_column:,} cells, at most "
                                  f"{MAX_CELLS:,} are read.", "Delete the far cells (Ctrl+End goes to the last), and "
                                  "save it again.")
    return marks


def chunks(archive: zipfile.ZipFile, part: str) -> Iterator[bytes]:
    """A sheet's XML in pieces that end where a cell or a row ends."""
    rest = b""
    with archive.open(part) as file:
        while block := file.read(CHUNK):
            block = rest + block
            end = max(block.rfind(b"</c>") + 4, block.rfind(b"</row>") + 6, block.rfind(b":c>") + 3)
            if end < 7:
                end = max(0, len(block) - MAX_CELL)
            yield block[:end]
            rest = block[end:]
    yield rest


def add_marks(marks: SheetMarks, chunk: bytes) -> None:
    """What a piece of a sheet's XML says."""
    marks.last_row = max(marks.last_row, max(map(int, ROW.findall(chunk)), default=0))
    marks.last_column = max(marks.last_column, max(map(column_number, set(COLUMNS.findall(chunk))), default=0))
    if b't="e"' in chunk:
        for match in ERROR_CELL.finditer(chunk):
            reference, value = REFERENCE.search(match["attributes"]), VALUE.search(match["content"])
            if reference is not None and len(marks.errors) < MAX_MARKS:
                marks.errors[cell_of(reference)] = value[1].decode(errors="replace") if value else "an error"
    if b"<f" in chunk or b":f" in chunk:
        for match in UNSAVED_CELL.finditer(chunk):
            reference = REFERENCE.search(match["attributes"])
            if reference is not None:
                marks.unsaved[cell_of(reference)[1]] += 1


def cell_of(reference: re.Match[bytes]) -> Cell:
    """The row and column of a reference like C7."""
    return int(reference[2]), column_number(reference[1])


def column_number(letters: bytes) -> int:
    """The number of a sheet's column: A is 1, AA is 27."""
    number = 0
    for letter in letters:
        number = 26 * number + letter - ord("A") + 1
    return number
