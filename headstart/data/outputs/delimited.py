"""csv, tsv and their like: quotes, escapes and line ends as the layout says; lists and objects become JSON."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import IO

from headstart.data.outputs.layout import Layout
from headstart.data.outputs.writer import Row, cell_text
from headstart.data.readers.csv_dialect import is_number


class DelimitedWriter:
    """Writes a line for the names of the columns, where the layout has one, and one for each row."""

    def __init__(self, stream: IO[str], columns: Sequence[str], layout: Layout) -> None:
        self.stream, self.columns, self.layout = stream, list(columns), layout
        signs = (layout.delimiter, layout.quote, layout.escape, "\n", "\r")
        # A blank at an end of a field is dropped by some readers, unless quotes enclose it.
        self.needs_quotes = re.compile("|".join(re.escape(sign) for sign in signs if sign) + r"|^\s|\s$")
        returns = "" if layout.line_end == "\n" and not layout.escape else "\r"  # text where lines end with \n
        self.breaking = re.compile(f"[{re.escape(layout.delimiter)}\n{returns}]+")
        self.changed = 0
        if layout.separator_line:
            stream.write(f"sep={layout.delimiter}{layout.line_end}")
        if layout.has_header:
            self.write_fields(self.columns)

    def write(self, row: Row) -> None:
        """One line."""
        self.write_fields([cell_text(row.get(name)) for name in self.columns])

    def write_fields(self, texts: Sequence[str]) -> None:
        """Texts as the fields of a line; an empty line would be no row."""
        if not self.layout.quote:
            fields = [self.unquoted(text) for text in texts]
        else:
            fields = [self.enclosed(text) if self.is_enclosed(text) else text for text in texts]
            fields = [2 * self.layout.quote] if fields == [""] else fields
        self.stream.write(self.layout.delimiter.join(fields) + self.layout.line_end)

    def is_enclosed(self, text: str) -> bool:
        """Whether a field stands in quotes."""
        style = self.layout.quotes
        return style == "all" or (style == "texts" and text != "" and not is_number(text) and text != "NA") or (
            self.needs_quotes.search(text) is not None)

    def enclosed(self, text: str) -> str:
        """A text in quotes, those in it doubled or behind the sign of escape."""
        quote, escape = self.layout.quote, self.layout.escape
        if escape:
            text = text.replace(escape, 2 * escape).replace(quote, escape + quote)
        else:
            text = text.replace(quote, 2 * quote)
        return f"{quote}{text}{quote}"

    def unquoted(self, text: str) -> str:
        """A text in a file without quotes: what would end the field stands behind the sign of escape; where there is
        none it becomes a blank, which is counted.
        """
        escape = self.layout.escape
        if escape:
            text = text.replace(escape, 2 * escape)
            return self.breaking.sub(lambda match: "".join(escape + sign for sign in match.group()), text)
        text, count = self.breaking.subn(" ", text)
        self.changed += count > 0
        return text

    def close(self) -> list[str]:
        """How many texts lost their line ends."""
        if not self.changed:
            return []
        return [f"{self.changed:,} texts hold a line end or a delimiter, which a file without quotes cannot hold: "
                "they became spaces (--to out.jsonl keeps them)"]
