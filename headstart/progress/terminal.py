"""Words, tables and a bar on a stream: coloured and wrapped on a terminal, plain lines everywhere else.

The only file that knows rich.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, TextIO

from headstart.progress.tables import Table
from headstart.progress.visible import unfiltered, visible

if TYPE_CHECKING:
    import rich.console

NARROW = 60  # columns; below, a bar and its words do not fit on a line, and wrapped tables cannot be read
UNKNOWN_WIDTH = 80
BAR_WIDTH = 24
ERASE_LINE = "\r\x1b[K"


def is_plain(stream: TextIO) -> bool:
    """Whether a stream gets neither colour nor a moving bar: no terminal, a narrow one, TERM=dumb, or NO_COLOR is set.
    """
    return (not stream.isatty() or bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") in ("dumb", "unknown")
            or terminal_width(stream) < NARROW)


def terminal_width(stream: TextIO) -> int:
    """How many columns a terminal has now; COLUMNS says otherwise."""
    columns = os.environ.get("COLUMNS", "")
    if columns.isdecimal() and int(columns):
        return int(columns)
    try:
        return os.get_terminal_size(stream.fileno()).columns or UNKNOWN_WIDTH
    except (OSError, ValueError):
        return UNKNOWN_WIDTH


class Terminal:
    """A stream that people read. Lines replace an open bar; `plain` decides for itself unless it is set."""

    def __init__(self, stream: TextIO, *, plain: bool | None = None) -> None:
        self.stream = stream = unfiltered(stream)
        self.plain = is_plain(stream) if plain is None else plain
        self.is_read_by_people = stream.isatty() or not self.plain
        self.bar_is_open = False
        self.rich_console: rich.console.Console | None = None

    def visible(self, text: str) -> str:
        """The text as it may be written here: control sequences spelled out on a terminal."""
        return visible(text) if self.is_read_by_people else text

    def console(self) -> rich.console.Console:
        """rich's console on the stream, as wide as the terminal is now; imported when the first line is written."""
        if self.rich_console is None:
            from rich.console import Console

            self.rich_console = Console(file=self.stream, force_terminal=True, force_jupyter=False, markup=False,
                                        highlight=False)
        self.rich_console.width = terminal_width(self.stream)
        return self.rich_console

    def write(self, text: str, style: str = "") -> None:
        """Text on lines of its own, wrapped between words where colour is; wrapped lines are indented as their first.
        """
        self.erase_bar()
        text = self.visible(text)
        if self.plain:
            self.stream.write(text + "\n")
        else:
            from rich.text import Text

            console = self.console()
            for line in text.split("\n"):
                sentence = line.lstrip(" ")
                indent = min(len(line) - len(sentence), console.width // 2)
                for part in Text(sentence, style).wrap(console, console.width - indent):
                    part.rstrip()
                    console.print(Text.assemble(" " * indent, part), soft_wrap=True)
        self.stream.flush()

    def write_table(self, table: Table) -> None:
        """A table with lines between its head and its rows."""
        from rich import box
        from rich.table import Table as RichTable
        from rich.text import Text

        self.erase_bar()
        rich_table = RichTable(title=Text(self.visible(table.title), "bold"), title_justify="left", box=box.SIMPLE_HEAD,
                               show_edge=False, pad_edge=False)
        for number, name in enumerate(table.columns):
            rich_table.add_column(Text(self.visible(name)), overflow="fold", justify="right" if number == 1 else "left")
        for row in table.rows:
            rich_table.add_row(*(Text(self.visible(cell)) for cell in row))
        self.console().print(rich_table, "")
        self.stream.flush()

    def draw_bar(self, share: float, text: str) -> None:
        """A bar and its words on one line, drawn over the one before; a whole bar ends its line."""
        from rich.text import Text

        console, text = self.console(), self.visible(text)
        bar_width = min(BAR_WIDTH, max(8, console.width - len(text) - 2))
        filled_columns = round(bar_width * min(1.0, share))
        line = Text.assemble(("█" * filled_columns, "green"), ("░" * (bar_width - filled_columns), "bright_black"), " ",
                             text)
        line.truncate(console.width - 1, overflow="ellipsis")
        self.stream.write(ERASE_LINE)
        console.print(line, end="\n" if share >= 1 else "", soft_wrap=True)
        self.bar_is_open = share < 1
        self.stream.flush()

    def erase_bar(self) -> None:
        """Take an open bar away."""
        if self.bar_is_open:
            self.stream.write(ERASE_LINE)
            self.bar_is_open = False
