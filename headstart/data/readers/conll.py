"""CoNLL columns: a word a line with its tag, a blank line after each sentence; a sentence becomes a row."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice

from headstart.data.readers.conll_columns import Roles, find_roles
from headstart.data.readers.conll_format import ColumnFormat, detect_format, ends_sentence, line_format
from headstart.data.readers.source_file import SourceFile, decompression_errors
from headstart.data.readers.table_builder import SKIP, TableBuilder
from headstart.data.readers.text_encoding import detect_encoding
from headstart.data.readers.text_lines import Line, lines
from headstart.errors import Exit, UserError
from headstart.settings import Data

SAMPLE_LINES = 20_000  # lines that say which column is which


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
    ranges: int = 0  # lines that are no words (3-4, 5.1), as CoNLL-U has them


def read(source_file: SourceFile, builder: TableBuilder, settings: Data, start: bytes, suffix: str) -> None:
    """Fill the table with columns tokens and tags, lists of the words and of their tags; a row for each sentence.

    A file without tags has tokens only. Which column is which is told by what stands in them.
    """
    encoding = detect_encoding(source_file, start, settings.encoding)
    with decompression_errors(builder):
        column_format = detect_format(text for _, text, _ in lines(source_file, encoding))
        if column_format is None:
            raise builder.fatal_error("E101", "the file holds no words.", "Check that it was written.")
        roles = choose_roles(islice(lines(source_file, encoding), SAMPLE_LINES), column_format, builder, settings)
        builder.format_parts += ["conll", column_format.describe(),
                                 *filter(None, [roles.describe(column_format.width)]), encoding]
        builder.columns = ("tokens",) if roles.tag is None else ("tokens", "tags")
        builder.dropped_columns = tuple(f"column {number}" for number in roles.unused_columns(column_format.width))
        ranges = 0
        for sentence in sentences(lines(source_file, encoding), column_format, roles):
            ranges += sentence.ranges
            if sentence.tokens or sentence.faults:
                add_sentence(builder, sentence)
    if ranges:
        builder.add_finding("N114", f"{ranges:,} lines stand for several words (3-4) or for none (5.1); they are left "
                                    "out.", "")


def choose_roles(sample: Iterator[Line], column_format: ColumnFormat, builder: TableBuilder, settings: Data) -> Roles:
    """Which column is which: as the user named them, else as found; raises UserError (65 where two fit, 78 for a column
    that is not there).
    """
    width = column_format.width
    for name, number in (("word_column", settings.word_column), ("tag_column", settings.tag_column)):
        if number is not None and number > width:
            raise UserError(f"data.{name} is {number}, but {builder.name} has {column_format.describe()}.",
                            fix="Columns count from 1.", exit=Exit.SETTINGS)
    word, tag = (None if number is None else number - 1 for number in (settings.word_column, settings.tag_column))
    sentence_lines: list[list[list[str]]] = [[]]
    for _, text, _ in sample:
        if ends_sentence(text):
            sentence_lines.append([])
        elif sentence_lines[-1] or not text.startswith("#"):  # mostly a remark
            sentence_lines[-1].append([cell.strip() for cell in column_format.fields(text)])
    roles = find_roles([sentence for sentence in sentence_lines if sentence], width, word, tag)
    if roles.question is not None:
        raise UserError(f"{builder.name}: {roles.question[0]}.", fix=roles.question[1], exit=Exit.DATA)
    return roles


def add_sentence(builder: TableBuilder, sentence: Sentence) -> None:
    """A sentence as a row, or its first fault; the others are counted in the message."""
    if not sentence.faults:
        size = sum(map(len, sentence.tokens)) + sum(map(len, sentence.tags)) + 110 * len(sentence.tokens)
        builder.add_row((sentence.tokens, sentence.tags)[:len(builder.columns)], sentence.line, size)
        return
    first_fault, other_faults = sentence.faults[0], len(sentence.faults) - 1
    more_faults = (f"; {other_faults} more {'lines' if other_faults > 1 else 'line'} of this sentence cannot be used"
                   if other_faults else "")
    builder.add_finding(first_fault.code, f"{first_fault.message}{more_faults}.", f"{first_fault.fix}, or {SKIP}",
                        line=first_fault.line, column=first_fault.column, row=True)


def sentences(lines: Iterator[Line], column_format: ColumnFormat, roles: Roles) -> Iterator[Sentence]:
    """The sentences of a file; comments ("# id = 7") are before a sentence's first word."""
    sentence: Sentence | None = None
    for line_number, text, has_end in lines:
        if ends_sentence(text):
            if sentence is not None:
                yield sentence
            sentence = None
        elif sentence is None and roles.is_comment(text, column_format.fields(text), column_format.width):
            continue
        else:
            sentence = sentence if sentence is not None else Sentence(line_number)
            add_line(sentence, column_format, roles, line_number, text, has_end)
    if sentence is not None:
        yield sentence


def add_line(sentence: Sentence, column_format: ColumnFormat, roles: Roles, line_number: int, text: str,
             has_end: bool) -> None:
    """One line of a sentence: its word and its tag, or what is wrong with it."""
    fields = column_format.fields(text)
    fault = find_fault(fields, column_format, roles, line_number, text, has_end)
    if fault is not None:
        sentence.faults.append(fault)
    elif roles.is_range(fields):
        sentence.ranges += 1
    else:
        sentence.tokens.append(fields[roles.word].strip())
        sentence.tags.append(fields[roles.tag or 0].strip())


def find_fault(fields: list[str], column_format: ColumnFormat, roles: Roles, line_number: int, text: str,
               has_end: bool) -> Fault | None:
    """What is wrong with a line of words and tags; None when nothing is."""
    if "\0" in text:
        return Fault("E106", "the line contains a NUL character", "Write the file again without it", line_number,
                     text.index("\0") + 1)
    line_columns = line_format(text)
    tab_added = not column_format.tabs and line_columns.tabs
    tab_missing = column_format.tabs and not line_columns.tabs and line_columns.width == column_format.width
    if column_format.width > 1 and (tab_added or tab_missing):
        expected, actual = ("tabs", "spaces") if column_format.tabs else ("spaces", "a tab")
        column = text.index("\t" if line_columns.tabs else " ") + 1
        return Fault("E116", f"the columns of this line are separated by {actual}, those of the first line by "
                     f"{expected}",
                     f"Separate all columns by {expected}", line_number, column)
    if not fields[roles.word if roles.word < len(fields) else 0].strip():
        return Fault("E117", "the line has a tag and no word", "Write the word before its tag, or remove the line",
                     line_number, 1)
    if len(fields) == column_format.width:
        return None
    if not has_end and len(fields) < column_format.width:
        return Fault("E111", f"the last line is cut off: it has {count_columns(len(fields))}, the first line has "
                     f"{column_format.width}",
                     "Copy the file again", line_number, len(text) + 1)
    return Fault("E115", f"the line has {count_columns(len(fields))}, the first line has {column_format.width}",
                 "Give each word all its columns, and a sentence's end a blank line", line_number, len(text) + 1)


def count_columns(count: int) -> str:
    """A number of columns in words."""
    return f"{count} column" if count == 1 else f"{count} columns"
