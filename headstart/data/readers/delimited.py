"""csv, tsv and their like: every row's fields, or why it has none, with line and column."""

from __future__ import annotations

import io
from collections import deque
from collections.abc import Iterator
from itertools import islice

from headstart.data.readers.csv_dialect import Dialect, RecordFields, detect_dialect, looks_like_data, split_record
from headstart.data.readers.source_file import SourceFile, decompression_errors, detect_encoding
from headstart.data.readers.table_builder import SKIP, TableBuilder
from headstart.settings import Data

SAMPLE_LINES = 500  # lines that the dialect is detected from
MAX_FIELD_LINES, MAX_FIELD_SIZE = 5_000, 8 * 2**20  # one quoted field; a longer one is a quote that was never closed
Line = tuple[int, str, bool]  # number from 1, text without its end, whether it had an end


def read(source_file: SourceFile, builder: TableBuilder, settings: Data, start: bytes, suffix: str) -> None:
    """Fill the table with a delimited file's rows; raises DataError for what makes all of it unusable."""
    encoding = detect_encoding(source_file, start, settings.encoding)
    sample_lines = [text for _, text, _ in islice(lines(source_file, encoding), SAMPLE_LINES)]
    dialect = detect_dialect(sample_lines, settings.delimiter, suffix)
    builder.format_parts += [suffix, dialect.describe(), encoding]
    detected = detect_dialect(sample_lines, "", suffix)
    if settings.delimiter and len(split_record(sample_lines[0], dialect).values) == 1 and \
            len(split_record(sample_lines[0], detected).values) > 1:
        raise builder.fatal_error("E109", f"the delimiter {settings.delimiter!r} does not split the first line.",
                                  "Leave data.delimiter out to have it found.", line=1)
    if not dialect.quotes and any('"' in line for line in sample_lines):
        builder.add_finding("N104",
                            "this tab-separated file has unpaired quotes; they are read as ordinary characters.")
    source = records(lines(source_file, encoding), dialect, builder, 0)
    if settings.header:
        read_header(builder, next(source, None), [split_record(line, dialect).values for line in sample_lines[1:]])
    else:
        width = len(split_record(sample_lines[0], dialect).values)
        builder.columns = tuple(str(column_index) for column_index in range(width))
        builder.add_finding("N103", "there is no header: the columns are called " + ", ".join(builder.columns[:6]) +
                            (" …" if width > 6 else "") + ".")
    with decompression_errors(builder):
        if not settings.header:
            source = records(lines(source_file, encoding), dialect, builder, len(builder.columns))
        add_rows(source, builder)


def lines(source_file: SourceFile, encoding: str) -> Iterator[Line]:
    """The physical lines of a file; \\n, \\r\\n and \\r end a line."""
    with source_file.open() as file:
        text = io.TextIOWrapper(file, encoding=encoding, newline="")
        for line_number, line in enumerate(text, start=1):
            content = line.rstrip("\r\n")
            yield line_number, content, len(content) < len(line)


# line where it begins, its fields, the last line's text, whether that had an end
Record = tuple[int, RecordFields, str, bool]


def records(source: Iterator[Line], dialect: Dialect, builder: TableBuilder, width: int) -> Iterator[Record]:
    """Records, a quoted field over several lines as one; a quote that never closes is a fault of its first line.

    `width` is how many fields a record should have (0 until the header is known): a record over several lines that
    has another number, or text after its closing quote, began with a stray quote, too.
    """
    pushed_back: deque[Line] = deque()
    faults = 0
    while True:
        line = pushed_back.popleft() if pushed_back else next(source, None)
        if line is None:
            return
        line_number, text, has_end = line
        record = split_record(text, dialect)
        if record.open_quote is None:
            yield line_number, record, text, has_end
            continue
        extension = extend_record(text, record, dialect, source, pushed_back, MAX_FIELD_LINES if faults < 100 else 50)
        full_record, last_text, extra_lines = extension
        expected_width = width or len(builder.columns)
        if full_record is None or full_record.stray_text or (expected_width
                                                             and len(full_record.values) != expected_width):
            faults += 1
            pushed_back.extendleft(reversed(extra_lines))
            builder.add_finding("E105", "a quote is opened here and never closed.",
                                f"Close it, or double it (\"\") if it is a character of the text; or {SKIP}",
                                line=line_number, column=record.open_quote + 1, row=True)
            continue
        yield line_number, full_record, last_text, extra_lines[-1][2] if extra_lines else has_end


def extend_record(text: str, record: RecordFields, dialect: Dialect, source: Iterator[Line], pushed_back: deque[Line],
                  max_lines: int) -> tuple[RecordFields | None, str, list[Line]]:
    """Add lines to a record until its quote closes: the fields (None when it never does), its text, the lines taken."""
    extra_lines: list[Line] = []
    texts = [text]
    size = len(text)
    while len(extra_lines) < max_lines and size < MAX_FIELD_SIZE:
        line = pushed_back.popleft() if pushed_back else next(source, None)
        if line is None:
            break
        extra_lines.append(line)
        texts.append(line[1])
        size += len(line[1])
        if '"' in line[1]:
            full_record = split_record("\n".join(texts), dialect)
            if full_record.open_quote is None:
                return full_record, texts[-1], extra_lines
    return None, "", extra_lines


def read_header(builder: TableBuilder, record: Record | None, sample_rows: list[list[str]]) -> None:
    """The names of the columns; raises DataError for names that occur twice, and for a first line that is data."""
    if record is None:
        raise builder.fatal_error("E101", "the file holds no rows.", "Check that it was written.")
    names = [name.strip("\ufeff") for name in record[1].values]
    for index, name in enumerate(names):
        if name and name in names[:index]:
            raise builder.fatal_error("E107", f'two columns are called "{name}".', "Rename one of them.", line=1,
                                      column=record[1].starts[index])
    reason = looks_like_data(names, sample_rows)
    if reason is not None:
        raise builder.fatal_error("E108", f"the first line looks like data, not like the names of columns: {reason}.",
                                  "If so, pass --no-header (columns are then called 0, 1, 2 …); else add a first line "
                                  "with names.",
                                  line=1)
    empty = [index for index, name in enumerate(names) if not name]
    builder.columns = tuple(f"column {index + 1}" if not name and len(empty) > 1 else name
                            for index, name in enumerate(names))


def add_rows(source: Iterator[Record], builder: TableBuilder) -> None:
    """Every record as a row, or as a fault."""
    width = len(builder.columns)
    for line_number, record, last_text, has_end in source:
        values = record.values
        if len(values) == 1 and not values[0] and width > 1:
            continue  # an empty line
        if any("\0" in value for value in values):
            column = next(start + value.index("\0") for start, value in zip(record.starts, values, strict=True)
                          if "\0" in value)
            builder.add_finding("E106", "the row contains a NUL character.",
                                f"Write the file again without it, or {SKIP}",
                                line=line_number, column=column, row=True)
        elif len(values) < width:
            add_short_row_finding(builder, line_number, values, last_text, has_end)
        elif len(values) > width:
            quote = next((name for name in builder.columns if name), "the text")
            builder.add_finding("E104", f"the row has {len(values)} fields, the header has {width}.",
                                f'Quote the {delimiter_word(builder)} in "{quote}", or {SKIP}',
                                line=line_number, column=record.starts[width], row=True)
        else:
            builder.add_row(tuple(values), line_number, sum(map(len, values)) + 60 * width)


def add_short_row_finding(builder: TableBuilder, line_number: int, values: list[str], last_text: str,
                          has_end: bool) -> None:
    """A row with too few fields; at the very end of the file it was cut off."""
    width = len(builder.columns)
    lacking = builder.columns[len(values)]
    message = f'the row has {len(values)} fields, the header has {width} (no value for "{lacking}").'
    if len(values) == 1:
        message = message.replace("1 fields", "1 field")
    if has_end:
        builder.add_finding("E104", message,
                            f'Quote the {delimiter_word(builder)} in "{builder.columns[0]}", or {SKIP}',
                            line=line_number, column=len(last_text) + 1, row=True)
    else:
        builder.add_finding("E111", f"the last line is cut off: {message}", f"Copy the file again, or {SKIP}",
                            line=line_number, column=len(last_text) + 1, row=True)


def delimiter_word(builder: TableBuilder) -> str:
    """The delimiter's name, from the parts of the format."""
    return next((word for word in builder.format_parts if word in ("comma", "tab", "semicolon", "bar")), "delimiter")
