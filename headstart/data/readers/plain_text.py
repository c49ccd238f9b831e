"""Plain text: a line a row; blank lines part documents."""

from __future__ import annotations

from headstart.data.readers.delimited import lines
from headstart.data.readers.source_file import Raw, damaged, encoding_of
from headstart.data.readers.table_builder import SKIP, Sheet
from headstart.settings import Data


def read(raw: Raw, sheet: Sheet, settings: Data, start: bytes, suffix: str) -> None:
    """Fill the sheet: `text`, and `document`, a number that grows at blank lines."""
    encoding = encoding_of(raw, start, settings.encoding)
    sheet.columns = ("text", "document")
    sheet.words += ["text, a line a row", encoding]
    document, blank = 0, False
    with damaged(sheet):
        for number, text, _ in lines(raw, encoding):
            if not text.strip():
                blank = True
            elif "\0" in text:
                sheet.found("E106", "a NUL character stands in the line.", f"Write the file again without it, or {SKIP}",
                            line=number, row=True)
            else:
                document, blank = document + blank, False
                sheet.row((text, str(document)), number, len(text) + 120)
