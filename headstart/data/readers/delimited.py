"""csv, tsv and their like: every row's fields, or why it has none, with line and column."""

from __future__ import annotations

import io
from collections import deque
from collections.abc import Iterator
from itertools import islice

from headstart.data.readers.csv_dialect import Dialect, Fields, fields, find, looks_like_data
from headstart.data.readers.source_file import Raw, damaged, encoding_of
from headstart.data.readers.table_builder import SKIP, Sheet
from headstart.settings import Data

LOOK = 500  # lines that the dialect is found from
MOST_LINES, MOST_TEXT = 5_000, 8 * 2**20  # one quoted field; a longer one is a quote that was never closed
Line = tuple[int, str, bool]  # number from 1, text without its end, whether it had an end


def read(raw: Raw, sheet: Sheet, settings: Data, start: bytes, suffix: str) -> None:
    """Fill the sheet with a delimited file's rows; raises DataError for what makes all of it unusable."""
    encoding = encoding_of(raw, start, settings.encoding)
    first = [text for _, text, _ in islice(lines(raw, encoding), LOOK)]
    dialect = find(first, settings.delimiter, suffix)
    sheet.words += [suffix, dialect.words(), encoding]
    if settings.delimiter and len(fields(first[0], dialect).values) == 1 and len(fields(first[0], find(first, "", suffix)).values) > 1:
        raise sheet.stop("E109", f"the delimiter {settings.delimiter!r} does not part the first line.",
                         "Leave data.delimiter out to have it found.", line=1)
    if not dialect.quotes and any('"' in line for line in first):
        sheet.found("N104", "quotes stand alone in this file of tabs; they are read as ordinary characters.")
    source = records(lines(raw, encoding), dialect, sheet, 0)
    if settings.header:
        header(sheet, next(source, None), [fields(line, dialect).values for line in first[1:]])
    else:
        width = len(fields(first[0], dialect).values)
        sheet.columns = tuple(str(number) for number in range(width))
        sheet.found("N103", "there is no header: the columns are called " + ", ".join(sheet.columns[:6]) +
                    (" …" if width > 6 else "") + ".")
    with damaged(sheet):
        rows(source, sheet) if settings.header else rows(records(lines(raw, encoding), dialect, sheet, len(sheet.columns)), sheet)


def lines(raw: Raw, encoding: str) -> Iterator[Line]:
    """The physical lines of a file; \\n, \\r\\n and \\r end a line."""
    with raw.open() as file:
        text = io.TextIOWrapper(file, encoding=encoding, newline="")
        for number, line in enumerate(text, start=1):
            bare = line.rstrip("\r\n")
            yield number, bare, len(bare) < len(line)


Record = tuple[int, Fields, str, bool]  # line where it begins, its fields, the last line's text, whether that had an end


def records(source: Iterator[Line], dialect: Dialect, sheet: Sheet, width: int) -> Iterator[Record]:
    """Records, a quoted field over several lines as one; a quote that never closes is a fault of its first line.

    `width` is how many fields a record should have (0 until the header is known): a record over several lines that
    has another number, or text behind its closing quote, began with a stray quote, too.
    """
    back: deque[Line] = deque()
    faults = 0
    while True:
        line = back.popleft() if back else next(source, None)
        if line is None:
            return
        number, text, ended = line
        made = fields(text, dialect)
        if made.open is None:
            yield number, made, text, ended
            continue
        more = gather(text, made, dialect, source, back, MOST_LINES if faults < 100 else 50)
        whole, held, taken = more
        wanted = width or len(sheet.columns)
        if whole is None or whole.loose or (wanted and len(whole.values) != wanted):
            faults += 1
            back.extendleft(reversed(taken))
            sheet.found("E105", "a quote is opened here and never closed.",
                        f"Close it, or double it (\"\") if it is a character of the text; or {SKIP}",
                        line=number, column=made.open + 1, row=True)
            continue
        yield number, whole, held, taken[-1][2] if taken else ended


def gather(text: str, made: Fields, dialect: Dialect, source: Iterator[Line], back: deque[Line],
           most: int) -> tuple[Fields | None, str, list[Line]]:
    """Add lines to a record until its quote closes: the fields (None when it never does), its text, the lines taken."""
    taken: list[Line] = []
    parts = [text]
    size = len(text)
    while len(taken) < most and size < MOST_TEXT:
        line = back.popleft() if back else next(source, None)
        if line is None:
            break
        taken.append(line)
        parts.append(line[1])
        size += len(line[1])
        if '"' in line[1]:
            whole = fields("\n".join(parts), dialect)
            if whole.open is None:
                return whole, parts[-1], taken
    return None, "", taken


def header(sheet: Sheet, record: Record | None, below: list[list[str]]) -> None:
    """The names of the columns; raises DataError for names that stand twice, and for a first line that is data."""
    if record is None:
        raise sheet.stop("E101", "the file holds no rows.", "Check that it was written.")
    names = [name.strip("\ufeff") for name in record[1].values]
    for place, name in enumerate(names):
        if name and name in names[:place]:
            raise sheet.stop("E107", f'two columns are called "{name}".', "Rename one of them.", line=1,
                             column=record[1].begins[place])
    reason = looks_like_data(names, below)
    if reason is not None:
        raise sheet.stop("E108", f"the first line looks like data, not like the names of columns: {reason}.",
                         "If so, pass --no-header (columns are then called 0, 1, 2 …); else add a first line with names.",
                         line=1)
    empty = [place for place, name in enumerate(names) if not name]
    sheet.columns = tuple(f"column {place + 1}" if not name and len(empty) > 1 else name for place, name in enumerate(names))


def rows(source: Iterator[Record], sheet: Sheet) -> None:
    """Every record as a row, or as a fault."""
    width = len(sheet.columns)
    for number, made, last, ended in source:
        values = made.values
        if len(values) == 1 and not values[0] and width > 1:
            continue  # an empty line
        if any("\0" in value for value in values):
            column = next(begin + value.index("\0") for begin, value in zip(made.begins, values, strict=True) if "\0" in value)
            sheet.found("E106", "a NUL character stands in the row.", f"Write the file again without it, or {SKIP}",
                        line=number, column=column, row=True)
        elif len(values) < width:
            short(sheet, number, values, last, ended)
        elif len(values) > width:
            quote = next((name for name in sheet.columns if name), "the text")
            sheet.found("E104", f"the row has {len(values)} fields, the header has {width}.",
                        f'Quote the {delimiter_word(sheet)} in "{quote}", or {SKIP}',
                        line=number, column=made.begins[width], row=True)
        else:
            sheet.row(tuple(values), number, sum(map(len, values)) + 60 * width)


def short(sheet: Sheet, number: int, values: list[str], last: str, ended: bool) -> None:
    """A row with too few fields; at the very end of the file it was cut off."""
    width = len(sheet.columns)
    lacking = sheet.columns[len(values)]
    message = f'the row has {len(values)} fields, the header has {width} (no value for "{lacking}").'
    if len(values) == 1:
        message = message.replace("1 fields", "1 field")
    if ended:
        sheet.found("E104", message, f'Quote the {delimiter_word(sheet)} in "{sheet.columns[0]}", or {SKIP}',
                    line=number, column=len(last) + 1, row=True)
    else:
        sheet.found("E111", f"the last line is cut off: {message}", f"Copy the file again, or {SKIP}", line=number,
                    column=len(last) + 1, row=True)


def delimiter_word(sheet: Sheet) -> str:
    """The delimiter's name, as the sheet's words have it."""
    return next((word for word in sheet.words if word in ("comma", "tab", "semicolon", "bar")), "delimiter")
