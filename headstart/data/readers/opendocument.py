"""The cells of an .ods that hold an error (#N/A): its reader gives them as empty or as 0.

OpenDocument 1.3 part 3, 9.1: rows and cells that repeat stand once, with a count.
"""

from __future__ import annotations

import re
import zipfile
from xml.parsers import expat

CHUNK = 2**20
MAX_ERRORS = 100_000
ERROR = re.compile(r"#(?:N/A|DIV/0!|VALUE!|REF!|NAME\?|NUM!|NULL!)|Err:\d{3}")
SIGN = re.compile(b'value-type="error"|>(?:' + ERROR.pattern.encode() + b")<")


class ErrorCells:
    """Collects the errors of one sheet while its XML is parsed."""

    def __init__(self, sheet: str) -> None:
        self.sheet, self.is_inside = sheet, False
        self.errors: dict[tuple[int, int], str] = {}
        self.row = self.rows = self.column = self.columns = 0  # the current ones, and how often they repeat
        self.is_formula = self.is_error = False
        self.text: list[str] = []
        self.parser = expat.ParserCreate()
        self.parser.StartElementHandler, self.parser.EndElementHandler = self.start, self.end
        self.parser.CharacterDataHandler = self.text.append
        self.parser.StartDoctypeDeclHandler = self.refuse

    def refuse(self, *_: object) -> None:
        """A workbook declares no document type; one that does may hold entities that unfold without end."""
        raise expat.ExpatError("a document type is declared")

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """A sheet, a row or a cell begins."""
        if name == "table:table":
            self.is_inside, self.row, self.rows = attributes.get("table:name") == self.sheet, 0, 1
        elif name == "table:table-row":
            self.row, self.column, self.columns = self.row + (self.rows if self.row else 1), 0, 1
            self.rows = repeats(attributes, "table:number-rows-repeated")
        elif name in ("table:table-cell", "table:covered-table-cell"):
            self.column += self.columns if self.column else 1
            self.columns = repeats(attributes, "table:number-columns-repeated")
            self.is_formula = "table:formula" in attributes
            self.is_error = attributes.get("calcext:value-type") == "error"
            self.text.clear()

    def end(self, name: str) -> None:
        """A cell ends."""
        if name != "table:table-cell" or not self.is_inside:
            return
        text = "".join(self.text).strip()
        if self.is_error or (self.is_formula and ERROR.fullmatch(text)):
            for row in range(self.row, self.row + min(self.rows, MAX_ERRORS - len(self.errors))):
                self.errors[row, self.column] = text or "an error"


def repeats(attributes: dict[str, str], name: str) -> int:
    """How often a row or cell stands there."""
    count = attributes.get(name, "1")
    return max(1, int(count)) if count.isdecimal() and len(count) < 9 else 1


def error_cells(archive: zipfile.ZipFile, sheet: str) -> dict[tuple[int, int], str]:
    """The errors of a sheet by row and column, from 1; parses its XML only where one stands in it."""
    with archive.open("content.xml") as file:
        rest, has_error = b"", False
        while (block := file.read(CHUNK)) and not has_error:
            has_error = SIGN.search(rest + block) is not None
            rest = block[-40:]
    if not has_error:
        return {}
    cells = ErrorCells(sheet)
    with archive.open("content.xml") as file:
        try:
            cells.parser.ParseFile(file)
        except expat.ExpatError:
            return cells.errors  # the reader of the workbook says what is wrong with it
    return cells.errors
