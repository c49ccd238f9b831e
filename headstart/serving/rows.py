"""Rows of a request as a task's examples: names and kinds are checked row by row, then they are read as ever."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from headstart.api.predictions import read_memory, text_fields
from headstart.contract import Field, Json, Task
from headstart.data.examples import Reading, stop_on_faults
from headstart.data.objects import read_rows
from headstart.errors import UserError, nearest
from headstart.prediction.every_row import row_count
from headstart.serving.body import Bounds, json_kind
from headstart.serving.refusal import Refusal, of_error, row_refusal
from headstart.settings import Data

KINDS: Mapping[str, tuple[Any, str]] = {
    "text": (str, "a text"), "list": (list, "a list"), "number": ((int, float), "a number"),
    "label": ((str, int, float), "a label")}
RowFaults = list[dict[str, Json]]


def input_fields(task: Task[Any]) -> list[Field]:
    """The fields that a row to predict may have; targets are known to nobody yet."""
    return [field for field in task.fields if not field.target]


def needed_fields(task: Task[Any]) -> list[str]:
    """The fields that every row must have."""
    return [field.name for field in input_fields(task) if field.required]


def list_columns(task: Task[Any]) -> dict[str, Sequence[str]]:
    """Fields that several columns of the training file were, with those columns."""
    return {name: columns for name, columns in task.trained_columns.items() if len(columns) > 1}


def rows_of_body(task: Task[Any], body: Mapping[str, Json], bounds: Bounds) -> list[dict[str, Json]]:
    """The rows of a request {"model", "rows"}, or the one row that its fields are; raises Refusal (413, 422)."""
    fields = {field.name for field in task.fields} | {name for names in task.trained_columns.values() for name in names}
    inline = {name: value for name, value in body.items() if name not in ("model", "rows")}
    for name in inline:
        if name not in fields or "rows" in body:
            suggestion = nearest(name, ["model", "rows", *(fields if "rows" not in body else ())])
            raise Refusal(422, f"{name!r:.80} is not known here; a request has model and rows.",
                          f"Did you mean {suggestion}?" if suggestion else "Leave it out.", name[:80])
    rows = body.get("rows", [inline] if inline else None)
    if not isinstance(rows, list):
        came = "nothing came" if rows is None else f"{json_kind(rows)} came"
        raise Refusal(422, f"rows: a list of rows was expected, but {came}.", f"For example {example_body(task)}.",
                      "rows")
    if not rows:
        raise Refusal(422, "rows: one row at least was expected, but the list is empty.",
                      f"For example {example_body(task)}.", "rows")
    if len(rows) > bounds.rows:
        raise Refusal(413, f"rows: {bounds.rows:,} at most were expected, but {len(rows):,} came.",
                      "Send them in several requests.", "rows")
    return checked_rows(task, rows)


def example_body(task: Task[Any]) -> str:
    """A request with one row, in short."""
    names = needed_fields(task) or [task.text_field]
    return '{"rows": [{' + ", ".join(f'"{name}": …' for name in names) + "}]}"


def checked_rows(task: Task[Any], rows: Sequence[Json]) -> list[dict[str, Json]]:
    """Rows under the task's field names; raises Refusal (422) with the faults of all rows."""
    faults: RowFaults = []
    named_rows = [named_row(task, row, number, faults) for number, row in enumerate(rows, start=1)]
    if faults:
        raise row_refusal(faults)
    return named_rows


def named_row(task: Task[Any], row: Json, number: int, faults: RowFaults) -> dict[str, Json]:
    """One row under field names: a text is the one field that is needed, a column of training is its field."""
    needed = needed_fields(task) or [task.text_field]
    if isinstance(row, str) and len(needed) == 1:
        row = {needed[0]: row}
    if not isinstance(row, dict):
        faults.append(fault(number, None, f"an object of fields was expected, but {json_kind(row)} came.",
                            f"For example {example_body(task)}."))
        return {}
    fields = {field.name: field for field in task.fields}
    column_fields = {columns[0]: name for name, columns in task.trained_columns.items() if len(columns) == 1}
    columns_of_lists = {column for columns in list_columns(task).values() for column in columns}
    fields_of_row: dict[str, Json] = {}
    for column, value in row.items():
        name = column if column in fields or column in columns_of_lists else column_fields.get(column)
        if name is None:
            suggestion = nearest(column, [*fields, *column_fields])
            faults.append(fault(number, column[:80], f"there is no field {column!r:.80}; {task.name} has "
                                f"{', '.join(field.name for field in input_fields(task))}.",
                                f"Did you mean {suggestion}?" if suggestion else "Leave it out."))
        elif name in fields_of_row:
            faults.append(fault(number, name, f"{name!r} is named twice, the second time as {column!r:.80}.",
                                "Name it once."))
        else:
            fields_of_row[name] = value
            check_kind(fields.get(name), value, number, faults)
    check_presence(task, fields_of_row, list(row), number, faults)
    return fields_of_row


def check_kind(field: Field | None, value: Json, number: int, faults: RowFaults) -> None:
    """Add a fault where the value is of another kind than its field; null is a value that is not there."""
    if field is None or value is None:
        return
    types, words = KINDS[field.type]
    if not isinstance(value, types) or isinstance(value, bool):
        faults.append(fault(number, field.name, f"{field.name}: {words} was expected ({field.help}), but "
                            f"{json_kind(value)} came.", f"Send {words}."))


def check_presence(task: Task[Any], row: Mapping[str, Json], columns: Sequence[str], number: int,
                   faults: RowFaults) -> None:
    """Add a fault where a field is missing that the task cannot do without; `columns` are the names that came."""
    came = f"it has {', '.join(f'{column!r:.80}' for column in columns[:10])}" if columns else "it is empty"
    columns_by_field = list_columns(task)
    for name in needed_fields(task):
        if row.get(name) is None and not any(row.get(column) is not None for column in columns_by_field.get(name, ())):
            faults.append(fault(number, name, f"there is no {name!r}; {came}.", f'Send "{name}": ….'))
    names = [field.name for field in input_fields(task)]
    if not needed_fields(task) and all(row.get(name) is None for name in names):
        faults.append(fault(number, names[0], f"none of {', '.join(map(repr, names))} is there; {came}.",
                            f'Send "{names[0]}": ….'))


def fault(number: int, field: str | None, message: str, fix: str) -> dict[str, Json]:
    """A fault of a row as an answer lists it; rows count from 1."""
    return {"row": number, "field": field, "message": message, "fix": fix}


def read_request_rows(task: Task[Any], rows: Sequence[Mapping[str, Json]]) -> Reading:
    """Rows as examples, read as `Model.predict` reads them; raises Refusal (422)."""
    reader = dataclasses.replace(task, trained_columns=list_columns(task))
    columns: list[str] = []
    try:
        object_rows = read_rows(list(rows), text_fields(task))
        reading = read_memory(reader, object_rows, {}, Data())
        columns = list(reading.table.columns)
        stop_on_faults([reading], Data(), None)
    except UserError as error:
        refusal = of_error(error, columns)
        assert refusal is not None, "every UserError has words"
        raise refusal from None
    if row_count(reading) != len(rows) or len(reading.examples) != len(rows):
        raise Refusal(422, f"{len(rows):,} rows came, but they are read as {len(reading.examples):,}: a row without "
                      "any text is none, and a row of nested documents is several.",
                      "Send plain rows, each with a text.", "rows")
    return reading
