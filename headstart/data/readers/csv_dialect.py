"""How a delimited file is written: what parts its fields, and whether quotes mean anything."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

CANDIDATES = (",", "\t", ";", "|")
NAMES = {",": "comma", "\t": "tab", ";": "semicolon", "|": "bar"}


@dataclass(frozen=True)
class Dialect:
    """The delimiter, and whether a field may stand in quotes."""

    delimiter: str
    quotes: bool = True

    def words(self) -> str:
        """In words, for the user."""
        return NAMES.get(self.delimiter, repr(self.delimiter)) + ("" if self.quotes else ", quotes are characters")


@dataclass(frozen=True)
class Fields:
    """A record taken apart: its fields, where each begins (column from 1), and where a quote is left open (from 0)."""

    values: list[str]
    begins: list[int]
    open: int | None = None
    loose: bool = False  # text stands behind a closing quote, or a quote inside a field without quotes


QUOTED = re.compile(r'"((?:[^"]|"")*)"')


def fields(record: str, dialect: Dialect) -> Fields:
    """Take one record apart as RFC 4180 says; text behind a closing quote is kept, as Python's csv does."""
    delimiter = dialect.delimiter
    if not dialect.quotes or '"' not in record:
        values = record.split(delimiter)
        begins, at = [], 1
        for value in values:
            begins.append(at)
            at += len(value) + 1
        return Fields(values, begins)
    values, begins, at, loose = [], [], 0, False
    while True:
        begins.append(at + 1)
        value = ""
        if record.startswith('"', at):
            found = QUOTED.match(record, at)
            if found is None:
                return Fields(values, begins, at)
            value, at = found.group(1).replace('""', '"'), found.end()
        end = record.find(delimiter, at)
        rest = record[at:end if end >= 0 else len(record)]
        loose = loose or '"' in rest or (bool(rest) and at >= begins[-1])
        values.append(value + rest)
        if end < 0:
            return Fields(values, begins, None, loose)
        at = end + len(delimiter)


def find(lines: Sequence[str], given: str, suffix: str) -> Dialect:
    """The dialect of a file from its first lines: the delimiter that parts the header and fits most rows."""
    delimiter = given or best(lines, suffix)
    if delimiter == "\t":
        return Dialect(delimiter, tab_quotes(lines))
    return Dialect(delimiter)


def best(lines: Sequence[str], suffix: str) -> str:
    """The candidate whose rows have as many fields as the header most often; more fields win a tie."""
    scored = []
    for order, delimiter in enumerate(CANDIDATES):
        dialect = Dialect(delimiter, delimiter != "\t")
        counts = [len(one.values) for one in (fields(line, dialect) for line in lines if line) if one.open is None]
        if counts and counts[0] > 1:
            scored.append((sum(count == counts[0] for count in counts) / len(counts), counts[0], -order, delimiter))
    if suffix == "tsv" and any(one[3] == "\t" for one in scored):
        return "\t"
    return max(scored)[3] if scored else "\t" if suffix == "tsv" else ","


def tab_quotes(lines: Sequence[str]) -> bool:
    """Whether quotes enclose fields in a file of tabs: only when some do, and none stands alone (GLUE's do)."""
    whole = 0
    for line in lines:
        made = fields(line, Dialect("\t"))
        if made.open is not None or made.loose:
            return False
        whole += '"' in line
    return whole > 0


def looks_like_data(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str | None:
    """Why the first line seems to be a row and not a header; None when it may well be a header."""
    for place, name in enumerate(header):
        column = [row[place] for row in rows if len(row) == len(header)]
        if len(name) > 100 or len(name.split()) > 8:
            return f"{name[:40]!r} is long for the name of a column"
        if len(column) >= 5 and name and number(name) and all(number(value) for value in column if value):
            return f"{name!r} is a number, like all values below it"
        if len(column) >= 10 and name.strip() and column.count(name) >= 2 and len(set(column)) <= len(column) / 2:
            return f"{name!r} stands {column.count(name)} times below itself"
    return None


def number(text: str) -> bool:
    """Whether a text is a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True
