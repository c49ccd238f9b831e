"""JSON: one list of objects, or one object that holds such a list. The file is read whole."""

from __future__ import annotations

import json

from headstart.data.readers.jsonl import add_object, finish_columns, refuse_constant, type_words
from headstart.data.readers.source_file import SourceFile, decompression_errors, detect_encoding
from headstart.data.readers.squad import is_squad, rows
from headstart.data.readers.table_builder import SKIP, TableBuilder
from headstart.settings import Data


def read(source_file: SourceFile, builder: TableBuilder, settings: Data, start: bytes, suffix: str) -> None:
    """Fill the table; raises DataError when the file is not JSON."""
    encoding = detect_encoding(source_file, start, settings.encoding)
    builder.format_parts += ["json", encoding]
    with decompression_errors(builder), source_file.open() as file:
        text = file.read().decode(encoding)
    try:
        value = json.loads(text, parse_constant=refuse_constant)
    except json.JSONDecodeError as error:
        is_truncated = error.pos >= len(text.rstrip()) - 1
        raise builder.fatal_error("E111" if is_truncated else "E110",
                                  "the file is cut off." if is_truncated else f"the file is not JSON: {error.msg}.",
                                  "Copy the file again, or fix it.", line=error.lineno, column=error.colno) from None
    except (ValueError, RecursionError) as error:
        raise builder.fatal_error("E110", f"the file is not JSON: {error}.", "Fix it.") from None
    if is_squad(value):
        builder.format_parts.append("SQuAD layout")
        value = list(rows(value, builder))
    if isinstance(value, dict):
        lists = [items for items in value.values() if isinstance(items, list)]
        value = lists[0] if len(lists) == 1 else [value]
    if not isinstance(value, list):
        raise builder.fatal_error("E110", f"the file is {type_words(value)}, a list of objects was expected.",
                                  "Write it as [{…}, {…}].")
    columns: dict[str, int] = {}
    for index, entry in enumerate(value):
        if isinstance(entry, dict):
            add_object(builder, columns, entry, None, 200)
        else:
            builder.add_finding("E110", f"entry {index} of the list is {type_words(entry)}, an object was expected.",
                                f"Fix it, or {SKIP}", row=True)
    finish_columns(builder, columns)
