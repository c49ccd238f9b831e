"""JSON: one list of objects, or one object that holds such a list. The file is read whole."""

from __future__ import annotations

import json

from headstart.data.readers.jsonl import add, finish, kind, refuse
from headstart.data.readers.source_file import Raw, damaged, encoding_of
from headstart.data.readers.squad import is_squad, rows
from headstart.data.readers.table_builder import SKIP, Sheet
from headstart.settings import Data


def read(raw: Raw, sheet: Sheet, settings: Data, start: bytes, suffix: str) -> None:
    """Fill the sheet; raises DataError when the file is not JSON."""
    encoding = encoding_of(raw, start, settings.encoding)
    sheet.words += ["json", encoding]
    with damaged(sheet), raw.open() as file:
        text = file.read().decode(encoding)
    try:
        value = json.loads(text, parse_constant=refuse)
    except json.JSONDecodeError as error:
        cut = error.pos >= len(text.rstrip()) - 1
        raise sheet.stop("E111" if cut else "E110", "the file is cut off." if cut else f"the file is not JSON: {error.msg}.",
                         "Copy the file again, or mend it.", line=error.lineno, column=error.colno) from None
    except (ValueError, RecursionError) as error:
        raise sheet.stop("E110", f"the file is not JSON: {error}.", "Mend it.") from None
    if is_squad(value):
        sheet.words.append("SQuAD layout")
        value = list(rows(value, sheet))
    if isinstance(value, dict):
        lists = [held for held in value.values() if isinstance(held, list)]
        value = lists[0] if len(lists) == 1 else [value]
    if not isinstance(value, list):
        raise sheet.stop("E110", f"the file is {kind(value)}, a list of objects was expected.", "Write it as [{…}, {…}].")
    columns: dict[str, int] = {}
    for number, one in enumerate(value):
        if isinstance(one, dict):
            add(sheet, columns, one, None, 200)
        else:
            sheet.found("E110", f"entry {number} of the list is {kind(one)}, an object was expected.", f"Mend it, or {SKIP}", row=True)
    finish(sheet, columns)
