"""Rows by the values of a column: a language, a heuristic, a source (`data.slice_by`).

"language" gives test/de, test/fr …; "gold_label+heuristic,subcase" the pairs of two columns, and then a third's values.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from headstart.errors import Exit, UserError, nearest
from headstart.settings import Data

if TYPE_CHECKING:
    from headstart.data.examples import Examples
    from headstart.data.table import Table

MAX_VALUES = 200  # a column of more values makes no slices


def slice_columns(slice_by: str) -> list[tuple[str, ...]]:
    """"a+b,c" as [("a", "b"), ("c",)]."""
    return [tuple(name.strip() for name in names.split("+")) for names in slice_by.split(",") if names.strip()]


def check_slice_columns(slice_by: str, tables: Mapping[str, Table]) -> None:
    """Refuse a column that no measured file has; raises UserError (65)."""
    measured_tables = {name: table for name, table in tables.items() if name != "train"} or dict(tables)
    for column in [name for names in slice_columns(slice_by) for name in names]:
        if not any(column in table.columns for table in measured_tables.values()):
            columns = list(next(iter(measured_tables.values())).columns)
            suggestion = nearest(column, columns)
            raise UserError(f'data.slice_by names the column "{column}", which no file of dev or test rows has.',
                            fix=f'Did you mean "{suggestion}"?' if suggestion
                            else f"They have {', '.join(columns[:20])}.", exit=Exit.DATA)


def rows_by_value(examples: Examples, slice_by: str) -> dict[str, set[int]]:
    """The row ids of each value; columns that the file lacks give none. Raises UserError (65) for too many values."""
    columns = list(examples.rows.table.columns)
    slices: dict[str, set[int]] = {}
    for names in slice_columns(slice_by):
        if not set(names) <= set(columns):
            continue
        positions = [columns.index(name) for name in names]
        ids_by_value: dict[str, set[int]] = {}
        for index in examples.indices:
            record = examples.rows.table[int(index)]
            ids_by_value.setdefault("/".join(str(record.values[position]) for position in positions),
                                    set()).add(record.id)
        if len(ids_by_value) > MAX_VALUES:
            raise UserError(f"data.slice_by: {' and '.join(names)} has {len(ids_by_value):,} values, at most "
                            f"{MAX_VALUES} can be slices.",
                            fix="Name a column whose values recur.", exit=Exit.DATA)
        slices |= dict(sorted(ids_by_value.items()))
    return slices


def selected_slice(dev: Examples, settings: Data) -> Examples:
    """The dev rows of one value (`data.select_slice`); raises UserError (65) where there is none."""
    import numpy as np

    slices = rows_by_value(dev, settings.slice_by)
    if settings.select_slice not in slices:
        values = ", ".join(list(slices)[:20]) or "no such column"
        raise UserError(f"data.select_slice is {settings.select_slice!r}, but the dev rows have {values}.",
                        fix="Name one of these values, and its column with data.slice_by.", exit=Exit.DATA)
    row_ids = slices[settings.select_slice]
    return dev.part(np.asarray([index for index, row in enumerate(dev.row_ids()) if row in row_ids], dtype=np.int64))
