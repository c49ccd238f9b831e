"""JSON: one list of objects, or one object that holds such a list. The file is read whole."""

from __future__ import annotations

import json
from typing import Any

from headstart.data.readers import dream, squad
from headstart.data.readers.json_layouts import find_rows, text_around
from headstart.data.readers.jsonl import add_object, finish_columns, tell_repeated_keys, type_words
from headstart.data.readers.source_file import SourceFile, decompression_errors
from headstart.data.readers.table_builder import SKIP, TableBuilder, holds_surrogate
from headstart.data.readers.text_encoding import detect_encoding, error_handler
from headstart.settings import Data
from headstart.text.json_values import half_characters, parse_json


def read(source_file: SourceFile, builder: TableBuilder, settings: Data, start: bytes, suffix: str) -> None:
    """Fill the table; raises DataError when the file is not JSON."""
    encoding = detect_encoding(source_file, start, settings.encoding)
    builder.format_parts += ["json", encoding]
    with decompression_errors(builder), source_file.open() as file:
        text = file.read().decode(encoding, errors=error_handler(encoding))
    repeated_keys: list[str] = []
    try:
        value = parse_json(text, repeated_keys)
    except json.JSONDecodeError as error:
        is_truncated = error.pos >= len(text.rstrip()) - 1
        raise builder.fatal_error("E111" if is_truncated else "E110",
                                  "the file is cut off." if is_truncated else f"the file is not JSON: {error.msg}.",
                                  "Copy the file again, or fix it.", line=error.lineno, column=error.colno) from None
    except ValueError as error:
        raise builder.fatal_error("E110", f"the file is not JSON: {error}.", "Fix it.") from None
    value = known_layout(value, builder)
    tell_repeated_keys(builder, repeated_keys, None)
    if not isinstance(value, dict | list):
        raise builder.fatal_error("E110", f"the file is {type_words(value)}, a list of objects was expected.",
                                  "Write it as [{…}, {…}].")
    json_rows = find_rows(value, settings.records, has_header=settings.header)
    if isinstance(json_rows, list):
        raise builder.fatal_error("E110", f"lists of rows stand under several keys: {', '.join(json_rows[:10])}.",
                                  f"Name one: --set data.records={json_rows[0]}")
    builder.format_parts += [json_rows.layout] if json_rows.layout else []
    builder.layout |= text_around(value, json_rows)
    places = half_characters(text)
    columns: dict[str, int] = {}
    for index, entry in enumerate(json_rows.entries):
        if isinstance(entry, dict) and not builder.bad_bytes and places and holds_surrogate([entry]):
            position = places.pop(0)
            builder.add_surrogate_finding(text.count("\n", 0, position) + 1, position - text.rfind("\n", 0, position))
        elif isinstance(entry, dict):
            add_object(builder, columns, entry, None, 200)
        else:
            builder.add_finding("E110", f"entry {index} of the list is {type_words(entry)}, an object was expected.",
                                f"Fix it, or {SKIP}", row=True)
    finish_columns(builder, columns)


def known_layout(value: Any, builder: TableBuilder) -> Any:
    """A value that is laid out as SQuAD or DREAM as a list of rows, its layout told; any other as it is."""
    if squad.is_squad(value):
        builder.format_parts.append(squad.layout_words(value))
        return list(squad.rows(value, builder))
    if dream.is_dream(value):
        builder.format_parts.append("DREAM layout: a row a question")
        return list(dream.rows(value))
    return value
