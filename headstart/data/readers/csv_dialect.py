"""How a delimited file is written: what separates its fields, and whether quotes mean anything."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

DELIMITERS = (",", "\t", ";", "|")
DELIMITER_NAMES = {",": "comma", "\t": "tab", ";": "semicolon", "|": "bar"}


@dataclass(frozen=True)
class Dialect:
    """The delimiter, and whether a field may be in quotes."""

    delimiter: str
    quotes: bool = True

    def describe(self) -> str:
        """In words, for the user."""
        return DELIMITER_NAMES.get(self.delimiter,
                                   repr(self.delimiter)) + ("" if self.quotes else ", quotes are characters")


@dataclass(frozen=True)
class RecordFields:
    """A record as its fields, where each begins (column from 1), and where a quote is left open (from 0)."""

    values: list[str]
    starts: list[int]
    open_quote: int | None = None
    stray_text: bool = False  # text after a closing quote, or a quote inside a field without quotes


QUOTED = re.compile(r'"((?:[^"]|"")*)"')


def split_record(record: str, dialect: Dialect) -> RecordFields:
    """Split one record as RFC 4180 says; text after a closing quote is kept, as Python's csv does."""
    delimiter = dialect.delimiter
    if not dialect.quotes or '"' not in record:
        values = record.split(delimiter)
        starts, position = [], 1
        for value in values:
            starts.append(position)
            position += len(value) + 1
        return RecordFields(values, starts)
    values, starts, position, stray_text = [], [], 0, False
    while True:
        starts.append(position + 1)
        value = ""
        if record.startswith('"', position):
            match = QUOTED.match(record, position)
            if match is None:
                return RecordFields(values, starts, position)
            value, position = match.group(1).replace('""', '"'), match.end()
        end = record.find(delimiter, position)
        unquoted = record[position:end if end >= 0 else len(record)]
        stray_text = stray_text or '"' in unquoted or (bool(unquoted) and position >= starts[-1])
        values.append(value + unquoted)
        if end < 0:
            return RecordFields(values, starts, None, stray_text)
        position = end + len(delimiter)


def detect_dialect(lines: Sequence[str], requested: str, suffix: str) -> Dialect:
    """The dialect of a file from its first lines: the delimiter that splits the header and fits most rows."""
    delimiter = requested or best_delimiter(lines, suffix)
    if delimiter == "\t":
        return Dialect(delimiter, tab_quotes(lines))
    return Dialect(delimiter)


def best_delimiter(lines: Sequence[str], suffix: str) -> str:
    """The candidate whose rows have as many fields as the header most often; more fields win a tie."""
    candidates = []
    for order, delimiter in enumerate(DELIMITERS):
        dialect = Dialect(delimiter, delimiter != "\t")
        records = [split_record(line, dialect) for line in lines if line]
        counts = [len(record.values) for record in records if record.open_quote is None]
        if counts and counts[0] > 1:
            candidates.append((sum(count == counts[0] for count in counts) / len(counts), counts[0], -order, delimiter))
    if suffix == "tsv" and any(candidate[3] == "\t" for candidate in candidates):
        return "\t"
    return max(candidates)[3] if candidates else "\t" if suffix == "tsv" else ","


def tab_quotes(lines: Sequence[str]) -> bool:
    """Whether quotes enclose fields in a file of tabs: only when some do, and none is unpaired (GLUE's are)."""
    quoted_lines = 0
    for line in lines:
        record = split_record(line, Dialect("\t"))
        if record.open_quote is not None or record.stray_text:
            return False
        quoted_lines += '"' in line
    return quoted_lines > 0


def looks_like_data(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str | None:
    """Why the first line seems to be a row and not a header; None when it may well be a header."""
    for index, name in enumerate(header):
        column = [row[index] for row in rows if len(row) == len(header)]
        if len(name) > 100 or len(name.split()) > 8:
            return f"{name[:40]!r} is long for the name of a column"
        if len(column) >= 5 and name and is_number(name) and all(is_number(value) for value in column if value):
            return f"{name!r} is a number, like all values below it"
        if len(column) >= 10 and name.strip() and column.count(name) >= 2 and len(set(column)) <= len(column) / 2:
            return f"{name!r} occurs {column.count(name)} times below"
    return None


def is_number(text: str) -> bool:
    """Whether a text is a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True
