"""Where the rows of a JSON value are: a list of objects, below a key, a table as pandas writes it, lists of lists."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from headstart.data.readers.csv_dialect import looks_like_data
from headstart.data.readers.table_builder import holds_surrogate
from headstart.errors import Exit, UserError, nearest

UNDER, ROWS = "rows under ", "\ufdd0rows\ufdd0"  # words, and what stands for the rows while the rest is written
MAX_DEPTH = 5  # keys below each other under which rows are looked for


@dataclass(frozen=True)
class JsonRows:
    """The rows of a JSON value, and how they stand there ("" for a plain list of objects)."""

    entries: list[Any]
    layout: str = ""
    path: str = ""  # of a list of objects below keys, these


def find_rows(value: Any, records: str, *, has_header: bool) -> JsonRows | list[str]:
    """The rows of a value; where lists of objects stand under several keys, these keys. `records` is the key that the
    user named ("" for none), its parts joined by points.

    Raises UserError (78) for a key that is not there.
    """
    if records:
        return with_columns(value_at(value, records), f"{UNDER}{records}", has_header)
    if isinstance(value, dict):
        layout = pandas_rows(value)
        if layout is not None:
            return layout
        paths = list(list_paths(value))
        if len(paths) == 1:
            return with_columns(value_at(value, paths[0]), f"{UNDER}{paths[0]}", has_header)
        if paths:
            return paths
        columns = column_lists(value)
        return columns if columns is not None else JsonRows([value], "one object")
    return with_columns(value, "", has_header)


def with_columns(value: Any, layout: str, has_header: bool) -> JsonRows:
    """A list of rows; lists among them get the names of their first, where it holds names, else 0, 1, 2 …"""
    entries = value if isinstance(value, list) else [value]
    if not entries or not all(isinstance(entry, list) for entry in entries):
        return JsonRows(entries, layout, layout.removeprefix(UNDER) if isinstance(value, list) else "")
    first, further_rows = entries[0], entries[1:]
    texts = [[str(cell) for cell in row] for row in further_rows]
    is_header = has_header and texts and all(isinstance(name, str) and name for name in first) and len(
        set(first)) == len(first) and looks_like_data(first, texts) is None
    names = first if is_header else [str(index) for index in range(len(first))]
    rows = [dict(zip(names, row, strict=True)) if len(row) == len(names) else row
            for row in (further_rows if is_header else entries)]
    words = "a list for each row" + (", the first names the columns" if is_header else "")
    return JsonRows(rows, f"{layout}, {words}" if layout else words)


def pandas_rows(value: dict[str, Any]) -> JsonRows | None:
    """A table as pandas writes it with orient split, table, columns or index; None for anything else."""
    if {"columns", "data"} <= value.keys() <= {"columns", "data", "index", "index_names", "column_names"} and all(
            isinstance(value[key], list) for key in ("columns", "data")):
        names = [str(name) for name in value["columns"]]
        rows = [dict(zip(names, row, strict=True)) if isinstance(row, list) and len(row) == len(names) else row
                for row in value["data"]]
        return JsonRows(rows, "as pandas writes it (split)")
    if value.keys() == {"schema", "data"} and isinstance(value["data"], list) and isinstance(value["schema"], dict):
        index_names = value["schema"].get("primaryKey") or []
        rows = [{key: cell for key, cell in row.items() if key not in index_names} if isinstance(row, dict) else row
                for row in value["data"]]
        return JsonRows(rows, "as pandas writes it (table)")
    inner = list(value.values())
    if not inner or not all(isinstance(entry, dict) and entry for entry in inner) or any(
            entry.keys() != inner[0].keys() for entry in inner):
        return None
    if all(key.isdigit() for key in inner[0]) and not all(key.isdigit() for key in value):
        rows = [{name: column[index] for name, column in value.items()} for index in inner[0]]
        return JsonRows(rows, "as pandas writes it (columns)")
    if all(key.isdigit() for key in value):
        return JsonRows(inner, "as pandas writes it (index)")
    return None


def column_lists(value: dict[str, Any]) -> JsonRows | None:
    """A list of values for each column, all of one length; None for anything else."""
    lengths = {len(column) if isinstance(column, list) else -1 for column in value.values()}
    if len(lengths) != 1 or min(lengths) < 1:
        return None
    rows = [dict(zip(value, cells, strict=True)) for cells in zip(*value.values(), strict=True)]
    return JsonRows(rows, "a list for each column")


def list_paths(value: dict[str, Any], prefix: str = "", depth: int = 0) -> Iterator[str]:
    """The keys, joined by points, under which lists of objects (or of lists) stand."""
    for key, inner in value.items():
        path = f"{prefix}{key}"
        if isinstance(inner, list) and inner and isinstance(inner[0], dict | list):
            yield path
        elif isinstance(inner, dict) and depth < MAX_DEPTH:
            yield from list_paths(inner, f"{path}.", depth + 1)


def value_at(value: Any, path: str) -> Any:
    """The value under keys joined by points; raises UserError (78) where there is none."""
    inner, rest = value, path
    while rest:
        keys = list(inner) if isinstance(inner, dict) else []
        key = max((key for key in keys if rest == key or rest.startswith(f"{key}.")), key=len, default=None)
        if key is None:
            key_words = ", ".join(map(repr, keys[:20])) or "no keys"
            guess = nearest(rest.split(".")[0], keys)
            raise UserError(f"data.records is {path!r}, but there is no {rest!r}; there are {key_words}.",
                            fix=f"Did you mean {guess}?" if guess else "Name the key that holds the rows.",
                            exit=Exit.SETTINGS)
        inner, rest = inner[key], rest[len(key) + 1:]
    return inner


def text_around(value: Any, rows: JsonRows) -> dict[str, str]:
    """What stands "before" and "behind" the rows of a value under a key; nothing for rows that stand otherwise."""
    if not rows.path:
        return {}
    parent, key = parent_of(value, rows.path)
    entries, parent[key] = parent[key], ROWS
    is_escaped = holds_surrogate([value])
    text = json.dumps(value, ensure_ascii=is_escaped, indent=1)
    parent[key] = entries
    before, _, behind = text.partition(json.dumps(ROWS, ensure_ascii=is_escaped))
    return {"before": before, "behind": behind}


def parent_of(value: Any, path: str) -> tuple[dict[str, Any], str]:
    """The object whose key is the last one of a path, and that key."""
    key = max((key for key in value if path == key or path.startswith(f"{key}.")), key=len)
    return (value, key) if path == key else parent_of(value[key], path[len(key) + 1:])
