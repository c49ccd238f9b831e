"""Plain text: a line a row; blank lines separate documents."""

from __future__ import annotations

from headstart.data.readers.delimited import lines
from headstart.data.readers.source_file import SourceFile, decompression_errors, detect_encoding
from headstart.data.readers.table_builder import SKIP, TableBuilder
from headstart.settings import Data


def read(source_file: SourceFile, builder: TableBuilder, settings: Data, start: bytes, suffix: str) -> None:
    """Fill the table: `text`, and `document`, a number that grows at blank lines."""
    encoding = detect_encoding(source_file, start, settings.encoding)
    builder.columns = ("text", "document")
    builder.format_parts += ["text, one row per line", encoding]
    document, blank = 0, False
    with decompression_errors(builder):
        for line_number, text, _ in lines(source_file, encoding):
            if not text.strip():
                blank = True
            elif "\0" in text:
                builder.add_finding("E106", "the line contains a NUL character.",
                                    f"Write the file again without it, or {SKIP}", line=line_number, row=True)
            else:
                document, blank = document + blank, False
                builder.add_row((text, str(document)), line_number, len(text) + 120)
