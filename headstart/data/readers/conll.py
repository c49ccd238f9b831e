"""CoNLL columns: a word a line, its tag last, a blank line behind each sentence; a sentence becomes a row."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from headstart.data.readers.conll_format import Form, blank, find, of_line
from headstart.data.readers.delimited import Line, lines
from headstart.data.readers.source_file import Raw, damaged, encoding_of
from headstart.data.readers.table_builder import SKIP, Sheet
from headstart.settings import Data


@dataclass(frozen=True)
class Fault:
    """What is wrong with a line."""

    code: str
    message: str
    fix: str
    line: int
    column: int


@dataclass
class Sentence:
    """The words and tags between two blank lines, the line of the first, and the lines that are faulty."""

    line: int
    tokens: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)


def read(raw: Raw, sheet: Sheet, settings: Data, start: bytes, suffix: str) -> None:
    """Fill the sheet with columns tokens and tags, lists of the first and of the last column; a row for each sentence.

    A file of one column has tokens only.
    """
    encoding = encoding_of(raw, start, settings.encoding)
    with damaged(sheet):
        form = find(text for _, text, _ in lines(raw, encoding))
        if form is None:
            raise sheet.stop("E101", "the file holds no words.", "Check that it was written.")
        sheet.words += ["conll", form.words(), encoding]
        sheet.columns = ("tokens", "tags")[:form.width]
        for sentence in sentences(lines(raw, encoding), form):
            add(sheet, sentence)


def add(sheet: Sheet, sentence: Sentence) -> None:
    """A sentence as a row, or its first fault; the others are counted in its words."""
    if not sentence.faults:
        size = sum(map(len, sentence.tokens)) + sum(map(len, sentence.tags)) + 110 * len(sentence.tokens)
        sheet.row((sentence.tokens, sentence.tags)[:len(sheet.columns)], sentence.line, size)
        return
    first, more = sentence.faults[0], len(sentence.faults) - 1
    message = first.message + (f"; {more} more {'lines' if more > 1 else 'line'} of this sentence cannot be used" if more else "")
    sheet.found(first.code, f"{message}.", f"{first.fix}, or {SKIP}", line=first.line, column=first.column, row=True)


def sentences(source: Iterator[Line], form: Form) -> Iterator[Sentence]:
    """The sentences of a file; comments ("# id = 7") stand before a sentence's first word."""
    held: Sentence | None = None
    for number, text, ended in source:
        if blank(text):
            if held is not None:
                yield held
            held = None
        elif held is None and text.startswith("# ") and len(form.fields(text)) != form.width:
            continue
        else:
            held = held if held is not None else Sentence(number)
            take(held, form, number, text, ended)
    if held is not None:
        yield held


def take(held: Sentence, form: Form, number: int, text: str, ended: bool) -> None:
    """One line of a sentence: its word and its tag, or what is wrong with it."""
    fields = form.fields(text)
    fault = fault_of(fields, form, number, text, ended)
    if fault is not None:
        held.faults.append(fault)
        return
    held.tokens.append(fields[0].strip())
    held.tags.append(fields[-1].strip())


def fault_of(fields: list[str], form: Form, number: int, text: str, ended: bool) -> Fault | None:
    """What is wrong with a line of words and tags; None when nothing is."""
    if "\0" in text:
        return Fault("E106", "a NUL character stands in the line", "Write the file again without it", number, text.index("\0") + 1)
    other = of_line(text)
    if form.width > 1 and ((not form.tabs and other.tabs) or (form.tabs and not other.tabs and other.width == form.width)):
        wanted, came = ("tabs", "spaces") if form.tabs else ("spaces", "a tab")
        place = text.index("\t" if other.tabs else " ") + 1
        return Fault("E116", f"the columns of this line are parted by {came}, those of the first line by {wanted}",
                     f"Part all columns by {wanted}", number, place)
    if not fields[0].strip():
        return Fault("E117", "the line has a tag and no word", "Write the word before its tag, or remove the line", number, 1)
    if len(fields) == form.width:
        return None
    if not ended and len(fields) < form.width:
        return Fault("E111", f"the last line is cut off: it has {several(len(fields))}, the first line has {form.width}",
                     "Copy the file again", number, len(text) + 1)
    return Fault("E115", f"the line has {several(len(fields))}, the first line has {form.width}",
                 "Give each word all its columns, and a sentence's end a blank line", number, len(text) + 1)


def several(count: int) -> str:
    """A number of columns in words."""
    return f"{count} column" if count == 1 else f"{count} columns"
