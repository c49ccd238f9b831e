"""A record that a strict reader refuses, looked at again: where the fault is, and which lines belong to it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from headstart.data.readers.csv_dialect import Dialect, field_pattern

MAX_LINES, MAX_SIZE = 50, 2**16  # lines and characters behind the fault in which its end is looked for


@dataclass(frozen=True)
class Tear:
    """Where a record is torn: line (0 is its first) and column (from 1) of the quote that opens the field, and of the
    text behind the quote that closes it (None where nothing closes it); how many of its lines belong to it.
    """

    opening: tuple[int, int]
    behind: tuple[int, int] | None
    lines: int

    @property
    def closes_in_its_line(self) -> bool:
        """Whether the field is closed in the line in which it is opened."""
        return self.behind is not None and self.behind[0] == self.opening[0]


def find_tear(lines: list[str], dialect: Dialect, next_line: Callable[[], str | None]) -> Tear:
    """What is wrong with a record whose lines are given; further lines are read, and added, as they belong to it.

    A record ends where its quotes are paired; where they never are, its first line alone is at fault.
    """
    text = "".join(lines)
    opening, behind = fault_positions(text, dialect)
    line_count = paired_lines(lines, dialect)
    size = 0
    while line_count is None and behind is not None and len(lines) < MAX_LINES and size < MAX_SIZE:
        line = next_line()
        if line is None:
            break
        lines.append(line)
        size += len(line)
        line_count = paired_lines(lines, dialect)
    return Tear(place(text, opening), place(text, behind) if behind is not None else None, line_count or 1)


def fault_positions(text: str, dialect: Dialect) -> tuple[int, int | None]:
    """Where the faulty field opens, and where text stands behind its closing quote (None when nothing closes it)."""
    pattern, position = field_pattern(dialect), 0
    while position <= len(text):
        match = pattern.match(text, position)
        if match is None:
            break
        start, position = match.start(), match.end()
        if match.group(1) is not None:
            if position < len(text) and text[position] not in (dialect.delimiter, "\n", "\r"):
                return start + match.group().index(dialect.quote), position
        elif position < len(text) and text[position] == dialect.quote:
            if start == position or dialect.skips_blanks:  # an opening quote that nothing closes
                return position, None
            position = next((place for place in range(position, len(text))
                             if text[place] in (dialect.delimiter, "\n", "\r")), len(text))
        position += 1
    return 0, None


def paired_lines(lines: Sequence[str], dialect: Dialect) -> int | None:
    """How many of the lines have paired quotes together; None when they never do."""
    quotes = 0
    for count, line in enumerate(lines, start=1):
        quotes += line.count(dialect.quote) - (len(re.findall(rf"\\{re.escape(dialect.quote)}", line))
                                               if dialect.escape else 0)
        if quotes % 2 == 0:
            return count
    return None


def without_blanks(text: str, dialect: Dialect) -> str | None:
    """A record without the blanks behind its closing quotes; None where more than blanks is out of place in it."""
    blanks = re.compile(rf"[ \t]+(?=[{re.escape(dialect.delimiter)}\r\n]|$)")
    while dialect.fields(text) is None:
        behind = fault_positions(text, dialect)[1]
        match = blanks.match(text, behind) if behind is not None else None
        if match is None:
            return None
        text = text[:match.start()] + text[match.end():]
    return text


def place(text: str, position: int) -> tuple[int, int]:
    """Line from 0 and column from 1 of a position."""
    before = text[:position].replace("\r\n", "\n").replace("\r", "\n")
    return before.count("\n"), len(before) - before.rfind("\n")


def field_place(record: str, dialect: Dialect, index: int) -> tuple[int, int]:
    """Line from 0 and column from 1 where a field of a record begins."""
    pattern, position = field_pattern(dialect), 0
    for _ in range(index):
        match = pattern.match(record, position)
        position = match.end() if match is not None else len(record)
        while position < len(record) and record[position] != dialect.delimiter:  # a quote out of place
            position += 1
        position += 1
    return place(record, min(position, len(record)))
