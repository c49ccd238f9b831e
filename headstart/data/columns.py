"""Which column of the user's file is which field of the task."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any, overload

from headstart.contract import Field, Json, Row
from headstart.data.table import Table
from headstart.errors import Exit, UserError, nearest


def choose(columns: Sequence[str], fields: Sequence[Field], given: Mapping[str, str],
           detected: Mapping[str, str] | None, path: str, training: bool) -> dict[str, tuple[str, ...]]:
    """The columns of each field: what the user named, else a column of that very name, else what was detected.

    Several columns of one field are joined by a comma in `given`. Raises UserError: 2 for a column that serves twice,
    65 for one that is not there.
    """
    chosen: dict[str, tuple[str, ...]] = {}
    for held in fields:
        if held.name in given:
            named = tuple(find(name.strip(), columns, held.name, path) for name in split(given[held.name], columns))
            chosen[held.name] = named
    for held in fields:
        taken = {name for names in chosen.values() for name in names}
        if held.name in chosen:
            continue
        usual = [held.name, *(held.usual if held.required else ())]
        guess = (detected or {}).get(held.name)
        if guess is not None and guess not in columns and "," in guess:
            chosen[held.name] = tuple(split(guess, columns))
            continue
        candidates = [guess, *usual] if guess is not None else usual
        lowered = {column.lower(): column for column in reversed(columns)}
        found = next((lowered.get(name.lower(), name) for name in candidates
                      if name is not None and name.lower() in lowered and lowered[name.lower()] not in taken), None)
        if found is not None:
            chosen[held.name] = (found,)
        elif held.required and (training or not held.target):
            raise missing(held, columns, path)
    twice = [name for name in columns if sum(name in names for names in chosen.values()) > 1]
    if twice:
        raise UserError(f'{path}: the column "{twice[0]}" is named for two fields.', fix="Name each column once.")
    return chosen


def split(text: str, columns: Sequence[str]) -> list[str]:
    """`title,body` as two columns, unless the file has a column of that very name."""
    return [text] if text in columns else text.split(",")


def find(name: str, columns: Sequence[str], field: str, path: str) -> str:
    """The column of this name; raises UserError (65) that names the nearest one."""
    if name in columns:
        return name
    near = nearest(name, columns)
    guess = f"Did you mean --{field} {near}? " if near else ""
    raise UserError(f'{path}: there is no column "{name}"; there are {shown(columns)}.',
                    fix=f"{guess}Name one of them.", exit=Exit.DATA)


def missing(held: Field, columns: Sequence[str], path: str) -> UserError:
    """The error for a field that no column serves."""
    near = nearest(held.name, columns)
    guess = f" (did you mean {near}?)" if near else ""
    return UserError(f'{path}: [E204] no column for "{held.name}" ({held.help}); there are {shown(columns)}.',
                     fix=f"Name it: --{held.name} COLUMN{guess}.", exit=Exit.DATA)


def shown(columns: Sequence[str]) -> str:
    """Column names in quotes, the first twenty."""
    return ", ".join(f'"{name}"' for name in columns[:20]) + (f" … ({len(columns)})" if len(columns) > 20 else "")


class Rows(Sequence[Row]):
    """A table's records under the task's field names, made when they are asked for."""

    def __init__(self, table: Table, chosen: Mapping[str, tuple[str, ...]], lists: Collection[str] = ()) -> None:
        self.table, self.chosen, self.lists = table, chosen, lists
        self.places = {field: [table.columns.index(name) for name in names] for field, names in chosen.items()}

    def __len__(self) -> int:
        return len(self.table)

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> list[Row]: ...
    def __getitem__(self, index: int | slice) -> Row | list[Row]:
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        record = self.table[index]
        values = {field: self.joined(field, [record.values[place] for place in places]) for field, places in self.places.items()}
        return Row(record.id, values, self.table.path, record.line)


    def joined(self, field: str, values: Sequence[Json]) -> Json:
        """The values of a field's columns as one: a text, or for a field of lists a list."""
        if field in self.lists and len(values) > 1:
            return listed(self.chosen[field], values)
        return joined(values)


def listed(names: Sequence[str], values: Sequence[Json]) -> list[Json]:
    """Several columns as a list: the names of those that hold 1 where all hold 0 or 1, else the values that are there."""
    marks = [str(value).strip() for value in values]
    if all(mark in ("0", "1", "0.0", "1.0", "True", "False") for mark in marks):
        return [name for name, mark in zip(names, marks, strict=True) if mark[0] in "1T"]
    return [value for value in values if value not in (None, "")]


def joined(values: Sequence[Json]) -> Json:
    """One value as it is; several as one text, empty ones left out."""
    if len(values) == 1:
        return values[0]
    return " ".join(text(value) for value in values if value not in (None, ""))


def text(value: Any) -> str:
    """A value as text."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def rows(table: Table, chosen: Mapping[str, tuple[str, ...]], fields: Sequence[Field] = ()) -> Rows:
    """A lazy view of a table by field names."""
    return Rows(table, chosen, {held.name for held in fields if held.type == "list"})
