"""Which column of the user's file is which field of the task."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
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

    def __init__(self, table: Table, chosen: Mapping[str, tuple[str, ...]], fields: Sequence[Field] = ()) -> None:
        self.table, self.chosen = table, chosen
        self.lists = {held.name for held in fields if held.type == "list"}
        self.places = {field: [table.columns.index(name) for name in names] for field, names in chosen.items()}
        self.marked = {held.name for held in fields if held.target and held.type in ("list", "label")
                       and len(self.places.get(held.name, ())) > 1 and are_marks(table, self.places[held.name])}

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
        """The values of a field's columns as one: a text, for a field of lists a list, the names of the columns with 1."""
        if field in self.marked:
            return marked(self.chosen[field], values)
        if field in self.lists and len(values) > 1:
            return [value for value in values if value not in (None, "")]
        return joined(values)


MARKS = {"0": False, "1": True, "0.0": False, "1.0": True, "false": False, "true": True}
NO_MARKS = {"-1", "-1.0"}  # what some files write where nobody looked


def mark(value: Json) -> bool | None:
    """Whether a cell says yes or no; None for anything but 0 and 1."""
    return MARKS.get(str(value).strip().lower())


def are_marks(table: Table, places: Sequence[int]) -> bool:
    """Whether columns hold 0 and 1, seen in the first 1,000 rows; some other cells among them are faults, not texts."""
    cells = [record.values[place] for record in table[:1000] for place in places]
    good = sum(mark(value) is not None for value in cells)
    return good > 0 and 2 * sum(mark(value) is not None or str(value).strip() in NO_MARKS for value in cells) > len(cells)


def marked(names: Sequence[str], values: Sequence[Json]) -> Json:
    """The names of the columns with 1; where one holds neither 0 nor 1 all as an object, which the task refuses."""
    if any(mark(value) is None for value in values):
        return dict(zip(names, values, strict=True))
    return [name for name, value in zip(names, values, strict=True) if mark(value)]


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
    return Rows(table, chosen, fields)
