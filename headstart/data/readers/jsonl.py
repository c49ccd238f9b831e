"""JSON lines: an object a line."""

from __future__ import annotations

import json
from typing import Any

from headstart.data.readers.source_file import SourceFile, decompression_errors
from headstart.data.readers.table_builder import SKIP, TableBuilder, holds_surrogate
from headstart.data.readers.text_encoding import detect_encoding
from headstart.data.readers.text_lines import lines
from headstart.settings import Data
from headstart.text.json_values import half_characters, parse_json


def read(source_file: SourceFile, builder: TableBuilder, settings: Data, start: bytes, suffix: str) -> None:
    """Fill the table; columns are all keys in the order in which they appear, a missing key is None."""
    encoding = detect_encoding(source_file, start, settings.encoding)
    builder.format_parts += ["jsonl", encoding]
    columns: dict[str, int] = {}
    repeated_keys: list[str] = []
    with decompression_errors(builder):
        for line_number, text, has_end in lines(source_file, encoding):
            if not text.strip():
                continue
            try:
                value = parse_json(text, repeated_keys)
            except ValueError as error:
                add_bad_line(builder, line_number, text, error, has_end)
                continue
            if not isinstance(value, dict):
                builder.add_finding("E110", f"the line is {type_words(value)}, an object was expected.",
                                    f'Write each row as {{"text": …}}, or {SKIP}', line=line_number, column=1, row=True)
                continue
            if repeated_keys:
                tell_repeated_keys(builder, repeated_keys, line_number)
            if "\\u" in text and not builder.bad_bytes and holds_surrogate([value]):
                builder.add_surrogate_finding(line_number, next(iter(half_characters(text)), 0) + 1)
                continue
            add_object(builder, columns, value, line_number, len(text))
    finish_columns(builder, columns)


def add_object(builder: TableBuilder, columns: dict[str, int], value: dict[str, Any], line: int | None,
               size: int) -> None:
    """One object as a row; new keys become new columns."""
    for key in value:
        columns.setdefault(key, len(columns))
    row = tuple(value.get(name) for name in columns)
    builder.note_types(row)
    if any(isinstance(cell, str) and "\0" in cell for cell in row):
        builder.add_finding("E106", "the row contains a NUL character.", f"Write the file again without it, or {SKIP}",
                            line=line, row=True)
        return
    builder.add_row(row, line, size + 60 * len(row))


def tell_repeated_keys(builder: TableBuilder, keys: list[str], line: int | None) -> None:
    """Keys that stand twice in one object, of which the last counts."""
    for key in keys:
        builder.add_finding("W104", f"the key {key!r} stands twice in one object; the last one is taken.",
                            "Rename one of them.", line=line)
    keys.clear()


def finish_columns(builder: TableBuilder, columns: dict[str, int]) -> None:
    """The columns are known at the end."""
    builder.columns = tuple(columns)
    if not columns and not any(code[0] == "E" for code in builder.counts):
        error = builder.fatal_error if builder.row_count else builder.no_rows_error  # rows of no keys are rows
        raise error("E101", "the file holds no rows.", "Check that it was written.")


def add_bad_line(builder: TableBuilder, line_number: int, text: str, error: Exception, has_end: bool) -> None:
    """A line that is not JSON; at the very end of the file it was cut off."""
    column = error.colno if isinstance(error, json.JSONDecodeError) else 1
    reason = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
    if not has_end and isinstance(error, json.JSONDecodeError) and (error.pos >= len(text.rstrip()) - 1
                                                                    or "Unterminated" in reason):
        builder.add_finding("E111", "the last line is cut off.", f"Copy the file again, or {SKIP}", line=line_number,
                            column=column, row=True)
    else:
        builder.add_finding("E110", f"the line is not JSON: {reason}.", f"Fix it, or {SKIP}", line=line_number,
                            column=column, row=True)


def type_words(value: Any) -> str:
    """A JSON value's type in words."""
    return {list: "a list", str: "a text", int: "a number", float: "a number",
            bool: "true or false"}.get(type(value), "null")
