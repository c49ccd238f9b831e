"""csv, tsv and their like through Python's csv reader: every row's fields, or why it has none, with line and column."""

from __future__ import annotations

import contextlib
import csv
from dataclasses import replace

from headstart.data.readers.csv_dialect import DELIMITER_NAMES, ESCAPE_NAMES, QUOTE_NAMES, named_sign
from headstart.data.readers.dialect_detection import (
    SEPARATOR_LINE,
    Question,
    Reading,
    detect_dialect,
    read_sample,
)
from headstart.data.readers.record_lines import RecordLines, shown_returns
from headstart.data.readers.row_reader import RowReader
from headstart.data.readers.source_file import SourceFile
from headstart.data.readers.table_builder import TableBuilder
from headstart.data.readers.text_encoding import detect_encoding
from headstart.settings import Data


def read(source_file: SourceFile, builder: TableBuilder, settings: Data, start: bytes, suffix: str) -> None:
    """Fill the table with a delimited file's rows; raises DataError for what makes all of it unusable, and where two
    dialects are as likely.
    """
    named_dialect = {"delimiter": named_sign("data.delimiter", settings.delimiter, DELIMITER_NAMES),
                     "quote": named_sign("data.quote", settings.quote, QUOTE_NAMES),
                     "escape": named_sign("data.escape", settings.escape, ESCAPE_NAMES)}
    encoding = detect_encoding(source_file, start, settings.encoding)
    with contextlib.closing(RecordLines(source_file, encoding)) as lines:
        read_lines(lines, builder, settings, named_dialect, suffix)


def read_lines(lines: RecordLines, builder: TableBuilder, settings: Data, named_dialect: dict[str, str | None],
               suffix: str) -> None:
    """Fill the table with a file's lines, in the dialect that is named, else found."""
    sample = lines.sample()
    separator = SEPARATOR_LINE.fullmatch(sample[0].strip("\ufeff")) if settings.header and sample else None
    if separator is not None:
        named_dialect["delimiter"] = named_dialect["delimiter"] or separator.group(1)
        lines.drop_first()
        sample = sample[1:]
    while len(sample) > 1 and not sample[0].strip("\ufeff \r\n"):
        lines.drop_first()
        sample = sample[1:]
    if not sample or not "".join(sample).strip("\ufeff \t\r\n"):
        raise builder.fatal_error("E101", "the file holds no rows.", "Check that it was written.")
    reading = detect_dialect(sample, suffix, **named_dialect, is_whole=lines.is_sampled_whole,
                             has_header=settings.header)
    if isinstance(reading, Question):
        raise builder.fatal_error("E122", shown_returns(reading.message()), reading.fix(), line=lines.line_number + 1)
    reading = quotes_of_tabs(reading, sample, lines, settings)
    if settings.delimiter:
        check_delimiter(reading, sample, suffix, builder)
    tell_dialect(reading, sample, lines, builder, suffix, has_separator_line=separator is not None)
    RowReader(builder, lines, reading).read_all(has_header=settings.header)


def quotes_of_tabs(reading: Reading, sample: list[str], lines: RecordLines, settings: Data) -> Reading:
    """In a file of tabs quotes enclose fields only where none in the whole file is out of place."""
    dialect = reading.dialect
    if dialect.delimiter != "\t" or not dialect.quote or settings.quote or reading.faults:
        return reading
    try:
        for _ in dialect.reader(lines.all_lines()):
            pass
    except csv.Error:
        unquoted = read_sample(sample, replace(dialect, quote=""), is_whole=False)
        return reading if reading.uses_quotes() or unquoted.faults else unquoted
    return reading


def check_delimiter(reading: Reading, sample: list[str], suffix: str, builder: TableBuilder) -> None:
    """Raises DataError for a delimiter that the user named and that does not split the header, where another does."""
    if reading.width > 1:
        return
    likelier = detect_dialect(sample, suffix, delimiter=None, quote=None, escape=None, is_whole=False)
    if (likelier.first if isinstance(likelier, Question) else likelier).width > 1 and reading.faults + any(
            "," in line for line in sample[:1]):
        raise builder.fatal_error("E109", f"the delimiter {reading.dialect.delimiter!r} does not split the first line.",
                                  "Leave data.delimiter out to have it found.", line=1)


def tell_dialect(reading: Reading, sample: list[str], lines: RecordLines, builder: TableBuilder, suffix: str,
                 *, has_separator_line: bool) -> None:
    """How the file is read, for the table's format, and what the user may not expect as a note."""
    dialect = reading.dialect
    words = "one column" if reading.width == 1 else dialect.describe()
    words += " (its first line says so)" if has_separator_line else ""
    builder.format_parts += [suffix, words, lines.encoding]
    builder.layout |= {"delimiter": dialect.delimiter, "quote": dialect.quote, "escape": dialect.escape,
                       "line_end": lines.line_end, "quotes": reading.quoting()} | (
                           {"separator_line": "yes"} if has_separator_line else {})
    if not dialect.quote and any('"' in line for line in sample):
        builder.add_finding("N104", "quotes do not enclose fields in this file; they are read as ordinary "
                            "characters.", "If they enclose fields: --set data.quote=double")
    if dialect.escape:
        builder.add_finding("N108", "a backslash escapes the next character (a quote, a delimiter, a line end, a "
                            "backslash) and is removed.", "If not: --set data.escape=none")
    if reading.surplus:
        builder.add_finding("N109", f"all rows end with {reading.surplus} empty "
                            f"{'field' if reading.surplus == 1 else 'fields'} that the header does not name; "
                            f"{'it is' if reading.surplus == 1 else 'they are'} left out.")
