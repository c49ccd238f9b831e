"""JSON lines: an object a line."""

from __future__ import annotations

import json
from typing import Any, NoReturn

from headstart.data.readers.delimited import lines
from headstart.data.readers.source_file import Raw, damaged, encoding_of
from headstart.data.readers.table_builder import SKIP, Sheet
from headstart.settings import Data


def read(raw: Raw, sheet: Sheet, settings: Data, start: bytes, suffix: str) -> None:
    """Fill the sheet; columns are all keys in the order in which they appear, a missing key is None."""
    encoding = encoding_of(raw, start, settings.encoding)
    sheet.words += ["jsonl", encoding]
    columns: dict[str, int] = {}
    with damaged(sheet):
        for number, text, ended in lines(raw, encoding):
            if not text.strip():
                continue
            try:
                value = json.loads(text, parse_constant=refuse)
            except (ValueError, RecursionError) as error:
                bad(sheet, number, text, error, ended)
                continue
            if not isinstance(value, dict):
                sheet.found("E110", f"the line is {kind(value)}, an object was expected.",
                            f'Write each row as {{"text": …}}, or {SKIP}', line=number, column=1, row=True)
                continue
            add(sheet, columns, value, number, len(text))
    finish(sheet, columns)


def add(sheet: Sheet, columns: dict[str, int], value: dict[str, Any], line: int | None, size: int) -> None:
    """One object as a row; new keys become new columns."""
    for key in value:
        columns.setdefault(key, len(columns))
    row = tuple(value.get(name) for name in columns)
    sheet.note_types(row)
    if any(isinstance(one, str) and "\0" in one for one in row):
        sheet.found("E106", "a NUL character stands in the row.", f"Write the file again without it, or {SKIP}", line=line, row=True)
        return
    sheet.row(row, line, size + 60 * len(row))


def finish(sheet: Sheet, columns: dict[str, int]) -> None:
    """The columns are known at the end."""
    sheet.columns = tuple(columns)
    if not columns and not any(code[0] == "E" for code in sheet.counts):
        raise sheet.stop("E101", "the file holds no rows.", "Check that it was written.")


def bad(sheet: Sheet, number: int, text: str, error: Exception, ended: bool) -> None:
    """A line that is not JSON; at the very end of the file it was cut off."""
    column = error.colno if isinstance(error, json.JSONDecodeError) else 1
    words = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
    if not ended and isinstance(error, json.JSONDecodeError) and (error.pos >= len(text.rstrip()) - 1 or "Unterminated" in words):
        sheet.found("E111", "the last line is cut off.", f"Copy the file again, or {SKIP}", line=number, column=column, row=True)
    else:
        sheet.found("E110", f"the line is not JSON: {words}.", f"Mend it, or {SKIP}", line=number, column=column, row=True)


def refuse(word: str) -> NoReturn:
    """NaN and Infinity are not JSON."""
    raise ValueError(f"{word} is not JSON")


def kind(value: Any) -> str:
    """A JSON value's type in words."""
    return {list: "a list", str: "a text", int: "a number", float: "a number", bool: "true or false"}.get(type(value), "null")
