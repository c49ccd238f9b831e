"""Which column of the user's file is which field of the task."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, overload

from headstart.contract import Field, Json, Row
from headstart.data.table import Table
from headstart.errors import Exit, UserError, nearest


def assign_columns(columns: Sequence[str], fields: Sequence[Field], user_columns: Mapping[str, str],
                   detected: Mapping[str, str] | None, path: str, training: bool) -> dict[str, tuple[str, ...]]:
    """The columns of each field: what the user named, else a column of that very name, else what was detected.

    Several columns of one field are joined by a comma in `user_columns`. Raises UserError: 2 for a column that serves
    twice, 65 for one that is not there.
    """
    field_columns: dict[str, tuple[str, ...]] = {}
    for field in fields:
        if field.name in user_columns:
            column_names = split_names(user_columns[field.name], columns)
            field_columns[field.name] = tuple(find_column(name.strip(), columns, field.name, path)
                                              for name in column_names)
    for field in fields:
        taken_names = {name for names in field_columns.values() for name in names}
        if field.name in field_columns:
            continue
        aliases = [field.name, *(field.aliases if field.required else ())]
        guess = (detected or {}).get(field.name)
        if guess is not None and guess not in columns and "," in guess:
            field_columns[field.name] = tuple(split_names(guess, columns))
            continue
        candidates = [guess, *aliases] if guess is not None else aliases
        lowered = {column.lower(): column for column in reversed(columns)}
        match = next((lowered.get(name.lower(), name) for name in candidates
                      if name is not None and name.lower() in lowered and lowered[name.lower()] not in taken_names),
                     None)
        if match is not None:
            field_columns[field.name] = (match,)
        elif field.required and (training or not field.target):
            raise missing_column_error(field, columns, path)
    repeated = [name for name in columns if sum(name in names for names in field_columns.values()) > 1]
    if repeated:
        raise UserError(f'{path}: the column "{repeated[0]}" is named for two fields.', fix="Name each column once.")
    return field_columns


def split_names(text: str, columns: Sequence[str]) -> list[str]:
    """`title,body` as two columns, unless the file has a column of that very name."""
    return [text] if text in columns else text.split(",")


def find_column(name: str, columns: Sequence[str], field: str, path: str) -> str:
    """The column of this name; raises UserError (65) that names the nearest one."""
    if name in columns:
        return name
    nearest_name = nearest(name, columns)
    guess = f"Did you mean --{field} {nearest_name}? " if nearest_name else ""
    raise UserError(f'{path}: there is no column "{name}"; there are {quoted_names(columns)}.',
                    fix=f"{guess}Name one of them.", exit=Exit.DATA)


def missing_column_error(field: Field, columns: Sequence[str], path: str) -> UserError:
    """The error for a field that no column serves."""
    nearest_name = nearest(field.name, columns)
    guess = f" (did you mean {nearest_name}?)" if nearest_name else ""
    return UserError(f'{path}: [E204] no column for "{field.name}" ({field.help}); there are {quoted_names(columns)}.',
                     fix=f"Name it: --{field.name} COLUMN{guess}.", exit=Exit.DATA)


def quoted_names(columns: Sequence[str]) -> str:
    """Column names in quotes, the first twenty."""
    return ", ".join(f'"{name}"' for name in columns[:20]) + (f" … ({len(columns)})" if len(columns) > 20 else "")


class FieldRows(Sequence[Row]):
    """A table's records under the task's field names, read lazily."""

    def __init__(self, table: Table, field_columns: Mapping[str, tuple[str, ...]],
                 fields: Sequence[Field] = ()) -> None:
        self.table, self.field_columns = table, field_columns
        self.list_fields = {field.name for field in fields if field.type == "list"}
        self.column_indices = {field_name: [table.columns.index(name) for name in names]
                               for field_name, names in field_columns.items()}
        self.indicator_fields = {
            field.name for field in fields if field.target and field.type in ("list", "label")
            and len(self.column_indices.get(field.name, ())) > 1
            and are_indicators(table, self.column_indices[field.name])}

    def __len__(self) -> int:
        return len(self.table)

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> list[Row]: ...
    def __getitem__(self, index: int | slice) -> Row | list[Row]:
        if isinstance(index, slice):
            return [self[position] for position in range(*index.indices(len(self)))]
        record = self.table[index]
        values = {field: self.field_value(field, [record.values[column_index] for column_index in column_indices])
                  for field, column_indices in self.column_indices.items()}
        return Row(record.id, values, self.table.path, record.line)

    def field_value(self, field: str, values: Sequence[Json]) -> Json:
        """The values of a field's columns as one: a text, for a field of lists a list, the names of the columns with 1.
        """
        if field in self.indicator_fields:
            return indicated_names(self.field_columns[field], values)
        if field in self.list_fields and len(values) > 1:
            return [value for value in values if value not in (None, "")]
        return join_values(values)


INDICATOR_VALUES = {"0": False, "1": True, "0.0": False, "1.0": True, "false": False, "true": True}
UNKNOWN_INDICATORS = {"-1", "-1.0"}  # what some files write where nobody annotated


def parse_indicator(value: Json) -> bool | None:
    """Whether a cell says yes or no; None for anything but 0 and 1."""
    return INDICATOR_VALUES.get(str(value).strip().lower())


def are_indicators(table: Table, column_indices: Sequence[int]) -> bool:
    """Whether columns hold 0 and 1, seen in the first 1,000 rows; some other cells among them are faults, not texts."""
    cells = [record.values[column_index] for record in table[:1000] for column_index in column_indices]
    parsed_count = sum(parse_indicator(value) is not None for value in cells)
    indicator_count = sum(parse_indicator(value) is not None or str(value).strip() in UNKNOWN_INDICATORS
                          for value in cells)
    return parsed_count > 0 and 2 * indicator_count > len(cells)


def indicated_names(names: Sequence[str], values: Sequence[Json]) -> Json:
    """The names of the columns with 1; where one holds neither 0 nor 1 all as an object, which the task refuses."""
    if any(parse_indicator(value) is None for value in values):
        return dict(zip(names, values, strict=True))
    return [name for name, value in zip(names, values, strict=True) if parse_indicator(value)]


def join_values(values: Sequence[Json]) -> Json:
    """One value as it is; several as one text, empty ones left out."""
    if len(values) == 1:
        return values[0]
    return " ".join(value_text(value) for value in values if value not in (None, ""))


def value_text(value: Any) -> str:
    """A value as text."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def field_rows(table: Table, field_columns: Mapping[str, tuple[str, ...]], fields: Sequence[Field] = ()) -> FieldRows:
    """A lazy view of a table by field names."""
    return FieldRows(table, field_columns, fields)
