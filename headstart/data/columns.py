"""Which column of the user's file is which field of the task."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, overload

from headstart.contract import Field, Json, Piece, Row
from headstart.data.row_store import Record
from headstart.data.table import Table
from headstart.errors import Exit, UserError, nearest


def assign_columns(columns: Sequence[str], fields: Sequence[Field], user_columns: Mapping[str, str],
                   detected: Mapping[str, str] | None, path: str, training: bool,
                   nested: Sequence[str] = ()) -> dict[str, tuple[str, ...]]:
    """The columns of each field: what the user named, else a column of that very name, else what was detected.

    Several columns of one field are joined by a comma in `user_columns`. `nested` are names like ticket.body, of what
    stands in the objects of a column, which only the user names. Raises UserError: 2 for a column that serves
    twice, 65 for one that is not there.
    """
    field_columns: dict[str, tuple[str, ...]] = {}
    for field in fields:
        if field.name in user_columns:
            column_names = split_names(user_columns[field.name], (*columns, *nested))
            field_columns[field.name] = tuple(find_column(name, (*columns, *nested), field.name, path)
                                              for name in column_names)
    for field in fields:
        taken_names = {name for names in field_columns.values() for name in names}
        if field.name in field_columns:
            continue
        aliases = [field.name, *(field.aliases if field.required else ())]
        guess = (detected or {}).get(field.name)
        if guess is not None and guess in nested:
            field_columns[field.name] = (guess,)
            continue
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
            raise missing_column_error(field, (*columns, *nested), path)
    replaced_names = {name for field in fields if field.name in field_columns for name in field.instead_of}
    for name in replaced_names - set(user_columns):
        field_columns.pop(name, None)
    repeated = [name for name in columns if sum(name in names for names in field_columns.values()) > 1]
    if repeated:
        raise UserError(f'{path}: the column "{repeated[0]}" is named for two fields.', fix="Name each column once.")
    return field_columns


def remembered_columns(trained: Mapping[str, Sequence[str]], columns: Sequence[str],
                       user_columns: Mapping[str, str]) -> dict[str, str]:
    """The columns that a model was trained on, as a user would name them, where the file has all of a field's and they
    serve nothing else.
    """
    named_columns = {name for text in user_columns.values() for name in split_names(text, columns)}
    return {field: ",".join(names) for field, names in trained.items()
            if field not in user_columns and set(names) <= set(columns) - named_columns}


def split_names(text: str, columns: Sequence[str]) -> list[str]:
    """`title,body` as two columns, unless the file has a column of that very name."""
    return [text] if text in columns else text.split(",")


def find_column(name: str, columns: Sequence[str], field: str, path: str) -> str:
    """The column of this name; raises UserError (65) that names the nearest one."""
    if name in columns:
        return name
    but_for_blanks = [column for column in columns if column.strip() == name.strip()]
    if len(but_for_blanks) == 1:
        return but_for_blanks[0]
    nearest_name = nearest(name, columns)
    guess = f"Did you mean --{field} {nearest_name}? " if nearest_name else ""
    raise UserError(f'{path}: there is no column "{name}"; there are {quoted_names(columns)}.',
                    fix=f"{guess}Name one of them.", exit=Exit.DATA)


def missing_column_error(field: Field, columns: Sequence[str], path: str) -> UserError:
    """The error for a field that no column serves."""
    nearest_name = nearest(field.name, columns)
    guess = f" (did you mean {nearest_name}?)" if nearest_name else ""
    return UserError(f'{path}: [E204] no column for "{field.name}" ({field.help}); there are {quoted_names(columns)}.',
                     fix=f"Name it: --{field.name} COLUMN (in Python {field.name}=\"COLUMN\"){guess}.", exit=Exit.DATA)


def quoted_names(columns: Sequence[str]) -> str:
    """Column names in quotes, the first twenty."""
    return ", ".join(f'"{name}"' for name in columns[:20]) + (f" … ({len(columns)})" if len(columns) > 20 else "")


class FieldRows(Sequence[Row]):
    """A table's records under the task's field names, read lazily."""

    def __init__(self, table: Table, field_columns: Mapping[str, tuple[str, ...]],
                 fields: Sequence[Field] = ()) -> None:
        self.table, self.field_columns = table, field_columns
        self.list_fields = {field.name for field in fields if field.type == "list"}
        self.placed_fields = {field.name for field in fields if field.keeps_places}
        self.column_indices = {field_name: [root_column(name, table.columns)[0] for name in names]
                               for field_name, names in field_columns.items()}
        self.indicator_fields = {
            field.name for field in fields if field.target and field.type in ("list", "label")
            and len(self.column_indices.get(field.name, ())) > 1
            and are_indicators(table, self.column_indices[field.name])}
        self.nested_names = {field_name: names for field_name, names in field_columns.items()
                             if any(name not in table.columns for name in names)}
        self.path = table.row_file
        # Mostly a field is one column: then a row costs a third of what it costs else.
        self.single_columns = None if table.is_running_text or self.nested_names or any(
            len(indices) != 1 for indices in self.column_indices.values()) else [
                (field_name, indices[0]) for field_name, indices in self.column_indices.items()]

    def __len__(self) -> int:
        return len(self.table)

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> list[Row]: ...
    def __getitem__(self, index: int | slice) -> Row | list[Row]:
        if isinstance(index, slice):
            return [self[position] for position in range(*index.indices(len(self)))]
        return self.row_of(self.table[index])

    def __iter__(self) -> Iterator[Row]:
        return map(self.row_of, self.table)

    def rows_at(self, indices: Iterable[int]) -> Iterator[Row]:
        """The rows at these places, read one after the other."""
        return map(self.row_of, self.table.builder.store.records_at(indices))

    def row_of(self, record: Record) -> Row:
        """A record under the task's field names."""
        if self.single_columns is not None:
            values: dict[str, Json] = {field: record.values[index] for field, index in self.single_columns}
            return Row(record.id, values, self.path, record.line)
        values = {field: self.field_value(field, self.cells(field, record, column_indices))
                  for field, column_indices in self.column_indices.items()}
        if not self.table.is_running_text:
            return Row(record.id, values, self.path, record.line)
        _, document, ends = record.values
        return Row(record.id, values, self.path, record.line, Piece(document, ends))

    def cells(self, field: str, record: Record, column_indices: Sequence[int]) -> list[Json]:
        """The cells of a field's columns; of ticket.body the body in the ticket, None where there is none."""
        if field not in self.nested_names:
            return [record.values[column_index] for column_index in column_indices]
        columns = self.table.columns
        return [inner_value(record.values[column_index], root_column(name, columns)[1])
                for name, column_index in zip(self.nested_names[field], column_indices, strict=True)]

    def field_value(self, field: str, values: Sequence[Json]) -> Json:
        """The values of a field's columns as one: a text, for a field of lists a list, the names of the columns with 1.
        """
        if field in self.indicator_fields:
            return indicated_names(self.field_columns[field], values)
        if field in self.placed_fields and len(values) > 1:
            return without_blank_end(values)
        if field in self.list_fields and len(values) > 1:
            return [value for value in values if value not in (None, "")]
        return join_values(values)


def root_column(name: str, columns: Sequence[str]) -> tuple[int, str]:
    """The place of a column, or of the one whose objects hold a name like ticket.body, and the rest of the name."""
    if name in columns:
        return columns.index(name), ""
    root = max((column for column in columns if name.startswith(f"{column}.")), key=len)
    return columns.index(root), name[len(root) + 1:]


def inner_value(value: Json, rest: str) -> Json:
    """What stands in an object under keys joined by points; None where there is nothing."""
    while rest and isinstance(value, Mapping):
        key = max((key for key in value if rest == key or rest.startswith(f"{key}.")), key=len, default=None)
        if key is None:
            return None
        value, rest = value[key], rest[len(key) + 1:]
    return None if rest else value


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


def without_blank_end(values: Sequence[Json]) -> list[Json]:
    """Values up to the last that is not empty; empty ones before it keep their place."""
    count = max((place for place, value in enumerate(values, start=1) if value not in (None, "")), default=0)
    return list(values[:count])


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
