"""How a delimited file is written: what separates its fields, what encloses them, and what a backslash does."""

from __future__ import annotations

import csv
import functools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from headstart.errors import Exit, UserError

DELIMITER_NAMES = {",": "comma", "\t": "tab", ";": "semicolon", "|": "bar", "^": "caret", "~": "tilde",
                   "\x1f": "unit separator", "\x01": "control-A"}
DELIMITERS = tuple(DELIMITER_NAMES)[:4]
RARE_DELIMITERS = tuple(DELIMITER_NAMES)[4:]  # looked for only where none of the others splits the header
QUOTE_NAMES = {'"': "double", "'": "single", "": "none"}
ESCAPE_NAMES = {"\\": "backslash", "": "none"}
RETURN = "\ufdd1"  # stands for a \r that is text while Python's csv reader reads, which takes none outside quotes
MAX_FIELD_SIZE = 2**24  # characters of one field; a longer one is a quote that was never closed


@dataclass(frozen=True)
class Dialect:
    """The delimiter, the sign that encloses a field ("" for none), the sign before a sign that is meant as it stands
    ("" for none: a quote inside quotes is doubled), and whether blanks behind a delimiter are dropped.
    """

    delimiter: str
    quote: str = '"'
    escape: str = ""
    skips_blanks: bool = False

    def describe(self) -> str:
        """In words, for the user: what differs from RFC 4180 is told."""
        words = [DELIMITER_NAMES.get(self.delimiter, repr(self.delimiter))]
        if not self.quote:
            words.append("quotes are characters")
        elif self.quote == "'":
            words.append("single quotes")
        if self.escape:
            words.append("backslash escapes")
        if self.skips_blanks:
            words.append("spaces after delimiters dropped")
        return ", ".join(words)

    def flags(self) -> str:
        """The settings that name this dialect, as they are typed."""
        return (f"--set data.delimiter={DELIMITER_NAMES.get(self.delimiter, self.delimiter)} "
                f"--set data.quote={QUOTE_NAMES[self.quote]} --set data.escape={ESCAPE_NAMES[self.escape]}")

    def reader(self, lines: Iterator[str], *, strict: bool = True) -> Any:
        """Python's csv reader of this dialect; `strict` raises csv.Error for text behind a closing quote, and for a
        quote that is open at the end.
        """
        # The limit is one for the whole process and 128 KiB by default, less than a chapter of a book; it only grows.
        if csv.field_size_limit() < MAX_FIELD_SIZE:
            csv.field_size_limit(MAX_FIELD_SIZE)
        return csv.reader(lines, delimiter=self.delimiter, quotechar=self.quote or None, escapechar=self.escape or None,
                          quoting=csv.QUOTE_MINIMAL if self.quote else csv.QUOTE_NONE, doublequote=True,
                          skipinitialspace=self.skips_blanks, strict=strict)

    def fields(self, record: str) -> list[RawField] | None:
        """The fields of a record as they stand in the file; None where a quote is out of place in it.

        Stricter than Python's reader: a quote inside a field that is not enclosed is out of place, too (RFC 4180, 2.5).
        """
        pattern, position = field_pattern(self), 0
        content = record.removesuffix("\n").removesuffix("\r")
        raw_fields = []
        while True:
            match = pattern.match(content, position)
            assert match is not None  # an empty field always fits
            raw_fields.append(RawField(match.start(), match.group(), match.group(1) is not None))
            position = match.end()
            if position == len(content):
                return raw_fields
            if content[position] != self.delimiter:
                return None
            position += 1


@dataclass(frozen=True)
class RawField:
    """A field as it stands in its record: where it begins (from 0), its text, and whether quotes enclose it."""

    start: int
    text: str
    enclosed: bool

    def needs_quotes(self, dialect: Dialect) -> bool:
        """Whether the field could not be written without its quotes (one that holds a delimiter, a quote or a line
        end; an empty one, which some write so).
        """
        content = self.text.strip(" ")[1:-1]
        return not content or any(sign in content for sign in (dialect.delimiter, dialect.quote, "\n", "\r", RETURN))


@functools.lru_cache(maxsize=64)
def field_pattern(dialect: Dialect) -> re.Pattern[str]:
    """What matches one field of a record that is written as its dialect says; group 1 where quotes enclose it.

    Possessive: an enclosed field never ends at the first half of a doubled quote.
    """
    delimiter, quote, escape = map(re.escape, (dialect.delimiter, dialect.quote, dialect.escape))
    blanks = " *" if dialect.skips_blanks else ""
    escaped = f"|{escape}." if escape else ""
    plain = f"(?:[^{delimiter}{quote}{escape}\\r\\n]{escaped})*+"
    enclosed = f"({quote}(?:[^{quote}{escape}]|{quote}{quote}{escaped})*+{quote})|" if quote else "(?!)()|"
    return re.compile(f"{blanks}(?:{enclosed}{plain})", re.DOTALL)


def named_sign(setting: str, text: str, names: dict[str, str]) -> str | None:
    """A sign as the user gave it, by itself or by its name; None when it is to be detected.

    Raises UserError (78) for what is neither.
    """
    if not text:
        return None
    by_name = {name: sign for sign, name in names.items()}
    if text.lower() in by_name:
        return by_name[text.lower()]
    if setting == "data.delimiter" and text == "\\t":
        return "\t"
    if len(text) != 1 or text in "\r\n" or (setting != "data.delimiter" and text not in names):
        raise UserError(f"{setting} is {text!r}; one sign was expected, or its name.",
                        fix=f"The names are {', '.join(by_name)}.", exit=Exit.SETTINGS)
    return text


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
