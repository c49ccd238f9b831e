"""How a file of words in columns (CoNLL) is written: one word a line, its tag in the last column, blank lines between sentences."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable
from dataclasses import dataclass

LOOK = 200  # lines that the form is found from
FITTING = 0.8  # share of them that must look like words with tags
NAMES = ("txt", "tsv", "")  # what such a file may be called; only its content tells it from others
MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
SPACES = re.compile(" +")
TAG = re.compile(r"O|[BIESLUM]-\S+")


@dataclass(frozen=True)
class Form:
    """What parts the columns (a tab, else runs of spaces), and how many there are."""

    tabs: bool
    width: int

    def fields(self, line: str) -> list[str]:
        """A line's columns; empty ones at its end are none."""
        held = line.split("\t") if self.tabs else SPACES.split(line)
        while len(held) > 1 and not held[-1].strip():
            held.pop()
        return held

    def words(self) -> str:
        """In words, for the user."""
        count = "1 column" if self.width == 1 else f"{self.width} columns"
        return count if self.width == 1 else f"{count} parted by {'tabs' if self.tabs else 'spaces'}"


def of_line(line: str) -> Form:
    """The form that one line has."""
    form = Form("\t" in line, 0)
    return Form(form.tabs, len(form.fields(line)))


def blank(line: str) -> bool:
    """Whether a line parts sentences: nothing but space, or the mark of a new document."""
    return not line.strip() or line.split(maxsplit=1)[0] == "-DOCSTART-"


def find(lines: Iterable[str]) -> Form | None:
    """The form of a file's first line with a word; None when there is none. Lines that begin with "# " tell only at last."""
    first = None
    for line in lines:
        if not blank(line):
            if not line.startswith("# "):
                return of_line(line)
            first = line if first is None else first
    return None if first is None else of_line(first)


def looks_like(start: bytes, named: str) -> bool:
    """Whether a file begins with words and tags: two columns or more, the last one O, B-X, I-X …; or is called conll."""
    if named == "conll":
        return True
    if named not in NAMES:
        return False
    lines = [line for line in first_lines(start) if not blank(line) and not line.startswith("# ")]
    form = find(lines)
    if form is None or form.width < 2:
        return False
    fitting = [len(fields) >= 2 and TAG.fullmatch(fields[-1].strip()) is not None for fields in map(form.fields, lines)]
    tags = {form.fields(line)[-1].strip() for line, fits in zip(lines, fitting, strict=True) if fits}
    return fitting[0] and sum(fitting) >= FITTING * len(fitting) and bool(tags - {"O"})


def first_lines(start: bytes) -> list[str]:
    """The first lines of a file's beginning; bytes of another encoding than Unicode's do no harm here."""
    encoding = next((name for mark, name in MARKS if start.startswith(mark)), "utf-8")
    lines = start.decode(encoding, errors="replace").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return lines[:LOOK]
