"""A table of an export as a table of plain columns: recognised, converted, what is left out counted and told."""

from __future__ import annotations

import importlib
from collections import Counter
from itertools import zip_longest
from pathlib import Path

from headstart.contract import Column
from headstart.data.readers.table_builder import TableBuilder
from headstart.data.row_store import Record, RowStore
from headstart.data.schemas.schema import ConvertedRow, FaultyRow, LeftOutRow, Schema
from headstart.errors import UserError, nearest

NEAR = 0.1  # two schemas whose confidences differ by no more are asked about
NOT_SCHEMAS = ("__init__", "schema", "apply")


def names() -> list[str]:
    """The names of all schemas: "doccano", "label-studio" …"""
    return sorted(path.stem.replace("_", "-") for path in Path(__file__).parent.glob("*.py")
                  if path.stem not in NOT_SCHEMAS and not path.stem.startswith("_"))


def recognise(columns: list[Column], chosen: str, table_name: str) -> Schema | None:
    """The schema of a table: the chosen one ("none" is none), else the one that recognises it.

    Raises UserError (2) for a name that there is not, for one that does not fit, and for two that are near.
    """
    if chosen == "none":
        return None
    if chosen and chosen not in names():
        suggestion = nearest(chosen, names())
        raise UserError(f"There is no schema {chosen!r}.", fix=f"Did you mean {suggestion}?" if suggestion
                        else f"The schemas are {', '.join(names())}, none.")
    found = []
    for name in [chosen] if chosen else names():
        module = importlib.import_module(f"headstart.data.schemas.{name.replace('-', '_')}")
        schema: Schema | None = module.recognise(columns)
        if schema is not None:
            found.append(schema)
    if chosen and not found:
        raise UserError(f"{table_name} is no {chosen} export: its columns are "
                        f"{', '.join(column.name for column in columns)}.", fix="Leave data.schema out.")
    found.sort(key=lambda schema: -schema.confidence)
    if len(found) > 1 and found[0].confidence - found[1].confidence <= NEAR:
        raise UserError(f"{table_name} may be read as {found[0].description}, or as {found[1].description}.",
                        fix=f"Choose: --set data.schema={found[0].name}, {found[1].name} or none.")
    return found[0] if found else None


def convert(builder: TableBuilder, schema: Schema, *, every_row: bool) -> TableBuilder:
    """The rows of a filled builder under the schema's columns; with `every_row` (to predict) also those left out.

    A row keeps its line. Rows that are left out, and why, are a note.
    """
    store, source_names = builder.store, builder.columns
    kept = [index for index, name in enumerate(source_names)
            if schema.keeps_others and name not in schema.source_columns and name not in schema.columns]
    converted = TableBuilder(builder.name, store.memory_limit)
    converted.columns = (*schema.columns, *(source_names[index] for index in kept))
    converted.findings, converted.counts = list(builder.findings), Counter(builder.counts)
    converted.format_parts = [*builder.format_parts, schema.description]
    reasons: Counter[str] = Counter()
    rows = schema.convert(iter(store))
    records: RowStore | tuple[Record, ...] = store if schema.keeps_others else ()
    for row, record in zip_longest(rows, records):
        others = tuple(record.values[index] for index in kept) if record is not None else ()
        values = row.values if isinstance(row, ConvertedRow | LeftOutRow) else None
        if isinstance(row, LeftOutRow):
            reasons[row.reason] += 1
        if isinstance(row, FaultyRow):
            converted.add_finding(row.fault.code, str(row.fault), row.fault.fix, line=row.line, row=True)
        elif values is None or (isinstance(row, LeftOutRow) and not every_row):
            converted.row_count += 1
        else:
            converted.add_row((*values, *others), row.line, sum(len(str(value)) for value in (*values, *others)))
    if reasons:
        words = ", ".join(f"{count:,} {reason}" for reason, count in reasons.most_common())
        converted.add_finding("N106", f"rows that the export marks as not to be used: {words}.",
                              "They are predicted like any other." if every_row else
                              "They are not trained on.")
    converted.finish()
    return converted
