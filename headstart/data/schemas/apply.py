"""A table of an export as a table of plain columns: recognised, converted, what is left out counted and told."""

from __future__ import annotations

import importlib
from collections import Counter
from functools import cache
from itertools import zip_longest
from pathlib import Path

from headstart.contract import Column
from headstart.data.readers.table_builder import TableBuilder
from headstart.data.row_store import Record, RowStore
from headstart.data.schemas.schema import ConvertedRow, FaultyRow, LeftOutRow, Schema
from headstart.errors import UserError, nearest

NEAR_CONFIDENCE = 0.1  # two schemas whose confidences differ by no more are asked about
NOT_SCHEMAS = ("schema", "apply")


@cache
def names() -> tuple[str, ...]:
    """The names of all schemas: "doccano", "label-studio" …"""
    return tuple(sorted(path.stem.replace("_", "-") for path in Path(__file__).parent.glob("*.py")
                        if path.stem not in NOT_SCHEMAS and not path.stem.startswith("_")))


def recognise(columns: list[Column], chosen_name: str, table_name: str) -> Schema | None:
    """The schema of a table: the chosen one ("none" is none), else the one that recognises it.

    Raises UserError (2) for a name that there is not, for one that does not fit, and for two that are near.
    """
    if chosen_name == "none":
        return None
    if chosen_name and chosen_name not in names():
        suggestion = nearest(chosen_name, names())
        raise UserError(f"There is no schema {chosen_name!r}.", fix=f"Did you mean {suggestion}?" if suggestion
                        else f"The schemas are {', '.join(names())}, none.")
    schemas = []
    for name in [chosen_name] if chosen_name else names():
        module = importlib.import_module(f"headstart.data.schemas.{name.replace('-', '_')}")
        schema: Schema | None = module.recognise(columns)
        if schema is not None:
            schemas.append(schema)
    if chosen_name and not schemas:
        raise UserError(f"{table_name} is no {chosen_name} export: its columns are "
                        f"{', '.join(column.name for column in columns)}.", fix="Leave data.schema out.")
    schemas.sort(key=lambda schema: -schema.confidence)
    if len(schemas) > 1 and schemas[0].confidence - schemas[1].confidence <= NEAR_CONFIDENCE:
        raise UserError(f"{table_name} may be read as {schemas[0].description}, or as {schemas[1].description}.",
                        fix=f"Choose: --set data.schema={schemas[0].name}, {schemas[1].name} or none.")
    return schemas[0] if schemas else None


def convert(builder: TableBuilder, schema: Schema, *, every_row: bool) -> TableBuilder:
    """The rows of a filled builder under the schema's columns; with `every_row` (to predict) also those left out.

    A row keeps its line. Rows that are left out, and why, are a note.
    """
    store, source_names = builder.store, builder.columns
    further_columns = [index for index, name in enumerate(source_names)
                       if schema.keeps_others and name not in schema.source_columns and name not in schema.columns]
    converted = TableBuilder(builder.name, store.memory_limit)
    converted.columns = (*schema.columns, *(source_names[index] for index in further_columns))
    converted.findings, converted.counts = list(builder.findings), Counter(builder.counts)
    converted.format_parts = [*builder.format_parts, schema.description]
    converted.encoding, converted.layout = builder.encoding, builder.layout
    converted.sheet = builder.sheet
    converted.column_numbers = () if builder.sheet else None  # the columns are no longer the sheet's
    converted.unused_columns = builder.unused_columns
    converted.origin_columns = builder.origin_columns
    converted.dropped_columns = tuple(name for index, name in enumerate(source_names) if index not in further_columns
                                      and name not in schema.source_columns) + schema.unread_parts
    reasons: Counter[str] = Counter()
    rows = schema.convert(iter(store))
    records: RowStore | tuple[Record, ...] = store if schema.keeps_others else ()
    for row, record in zip_longest(rows, records):
        further_values = tuple(record.values[index] for index in further_columns) if record is not None else ()
        values = row.values if isinstance(row, ConvertedRow | LeftOutRow) else None
        if isinstance(row, LeftOutRow):
            reasons[row.reason] += 1
        if isinstance(row, FaultyRow):
            converted.add_finding(row.fault.code, str(row.fault), row.fault.fix, line=row.line, row=True)
        elif values is None or (isinstance(row, LeftOutRow) and not every_row):
            converted.row_count += 1
        else:
            row_values = (*values, *further_values)
            converted.add_row(row_values, row.line, sum(len(str(value)) for value in row_values))
    if reasons:
        words = ", ".join(f"{count:,} {reason}" for reason, count in reasons.most_common())
        converted.add_finding("N106", f"rows that the export marks as not to be used: {words}.",
                              "They are predicted like any other." if every_row else
                              "They are not trained on.")
        if not len(converted.store) and not any(code[0] == "E" for code in converted.counts):
            raise converted.fatal_error("E102", f"no row is left: {words}.", "Accept some rows there, or pass --set "
                                        "data.schema=none to take the columns as they stand.")
    converted.finish()
    return converted
