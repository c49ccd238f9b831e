"""Scores by the values of a column: a language, a heuristic, a source (`data.by`).

"language" gives test/de, test/fr …; "gold_label+heuristic,subcase" the pairs of two columns, and then a third's values.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from headstart.contract import Task
from headstart.errors import Exit, UserError, nearest
from headstart.evaluation.evaluate import Evaluated, evaluate
from headstart.settings import Data

if TYPE_CHECKING:
    from headstart.data.table import Table
    from headstart.preparation.examples import Examples

MOST = 200  # values of a column that are no longer groups


def ways(by: str) -> list[tuple[str, ...]]:
    """"a+b,c" as [("a", "b"), ("c",)]."""
    return [tuple(name.strip() for name in way.split("+")) for way in by.split(",") if way.strip()]


def check_columns(by: str, tables: Mapping[str, Table]) -> None:
    """Refuse a column that no measured file has; raises UserError (65)."""
    measured = {name: table for name, table in tables.items() if name != "train"} or dict(tables)
    for column in [name for way in ways(by) for name in way]:
        if not any(column in table.columns for table in measured.values()):
            held = list(next(iter(measured.values())).columns)
            near = nearest(column, held)
            raise UserError(f'data.by names the column "{column}", which no file of dev or test rows has.',
                            fix=f'Did you mean "{near}"?' if near else f"They have {', '.join(held[:20])}.", exit=Exit.DATA)


def rows_by_value(examples: Examples, by: str) -> dict[str, set[int]]:
    """The row ids of each value; columns that the file lacks give none. Raises UserError (65) for too many values."""
    columns = list(examples.rows.table.columns)
    found: dict[str, set[int]] = {}
    for way in ways(by):
        if not set(way) <= set(columns):
            continue
        places = [columns.index(name) for name in way]
        held: dict[str, set[int]] = {}
        for index in examples.indices:
            record = examples.rows.table[int(index)]
            held.setdefault("/".join(str(record.values[place]) for place in places), set()).add(record.id)
        if len(held) > MOST:
            raise UserError(f"data.by: {' and '.join(way)} has {len(held):,} values, at most {MOST} can be groups.",
                            fix="Name a column whose values recur.", exit=Exit.DATA)
        found |= dict(sorted(held.items()))
    return found


def chosen(dev: Examples, settings: Data) -> Examples:
    """The dev rows of one value (`data.choose_by`); raises UserError (65) where there is none."""
    import numpy as np

    held = rows_by_value(dev, settings.by)
    if settings.choose_by not in held:
        there = ", ".join(list(held)[:20]) or "no such column"
        raise UserError(f"data.choose_by is {settings.choose_by!r}, but the dev rows have {there}.",
                        fix="Name one of these values, and its column with data.by.", exit=Exit.DATA)
    ids = held[settings.choose_by]
    return dev.part(np.asarray([place for place, row in enumerate(dev.row_ids()) if row in ids], dtype=np.int64))


def evaluated(task: Task[Any], split: str, rows: Examples, whole: Evaluated, by: str, *, resamples: int, seed: int) -> dict[str, Evaluated]:
    """The scores of each part of a split, from the predictions that were made for all of it: {"test/de": …}."""
    made = {}
    for value, ids in (rows_by_value(rows, by) if by else {}).items():
        places = [place for place, example in enumerate(whole.examples) if example.row in ids]
        if places:
            made[f"{split}/{value}"] = evaluate(task, [whole.examples[place] for place in places],
                                                [whole.predictions[place] for place in places], resamples=resamples, seed=seed)
    return made
