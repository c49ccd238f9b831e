"""Rows in memory as the table that a file of them would be."""

from __future__ import annotations

from headstart.data.objects import ObjectRows
from headstart.data.readers.jsonl import add_object, finish_columns
from headstart.data.readers.table_builder import TableBuilder
from headstart.data.table import Table, with_schema
from headstart.settings import Data


def object_table(rows: ObjectRows, settings: Data, *, every_row: bool = False) -> Table:
    """The table of rows in memory, read as their JSON lines are; with `every_row` (to predict) also rows that an export
    marks as not to be used.

    Raises UserError (65) for a value that no file can hold, DataError where there are no rows, or none can be used.
    """
    builder = TableBuilder(f"the {rows.kind}")
    builder.format_parts.append("in memory")
    if not rows.count:
        raise builder.fatal_error("E102", "there are no rows.", "Check what was passed.")
    columns: dict[str, int] = {}
    for record in rows.records():
        size = sum(len(value) if isinstance(value, str) else 20 for value in record.values())
        add_object(builder, columns, record, None, size)
    finish_columns(builder, columns)
    builder.finish()
    return with_schema(Table(builder.name, builder, "", 0), settings, every_row=every_row)
