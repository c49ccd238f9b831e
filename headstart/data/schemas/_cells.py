"""What the schemas share: columns by name, their filled cells, and lists that a csv cell holds as text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from headstart.contract import Column, Json, RowFault
from headstart.text.json_values import parse_cell

LEAVE_OUT = "leave the row out (--bad-rows skip)."
UNLABELLED = "not labelled"


def column_named(columns: Sequence[Column], names: Sequence[str]) -> Column | None:
    """The column with the first of these names that exists, in any case."""
    lowered = {column.name.strip().lower(): column for column in reversed(columns)}
    return next((lowered[name] for name in names if name in lowered), None)


def filled_cells(column: Column | None) -> list[Json]:
    """The cells of a column that hold something, lists and objects that are written as text read."""
    return [] if column is None else [parse_cell(value) for value in column.values if value not in (None, "")]


def list_of_texts(value: Json, name: str) -> list[str]:
    """A cell that holds a list of texts, or one text; raises RowFault."""
    value = parse_cell(value)
    labels = [] if value in (None, "") else value if isinstance(value, list) else [value]
    if not all(isinstance(label, str | int) for label in labels):
        raise RowFault("E305", f'"{name}" is {value!r:.60}, a list of labels was expected.',
                       fix=f"Write the labels' names, or {LEAVE_OUT}")
    return [str(label) for label in labels]


def has_several(label_lists: Iterable[Sequence[str]]) -> bool:
    """Whether any row has more than one label."""
    return any(len(labels) > 1 for labels in label_lists)


def one_label(labels: Sequence[str], name: str) -> str:
    """The only label of a row; raises RowFault for several, where the first thousand rows have one each."""
    if len(labels) > 1:
        raise RowFault("E305", f'"{name}" holds {len(labels)} labels ({", ".join(labels[:5])}); the first rows hold '
                               "one each.", fix="For several labels a row, put a row with several among the first "
                                                f"1,000; or {LEAVE_OUT}")
    return labels[0]


def span_of(start: Json, end: Json, kind: Json) -> dict[str, Json]:
    """A span as the task reads it; raises RowFault for what is none."""
    if type(start) is not int or type(end) is not int or not isinstance(kind, str):
        raise RowFault("E303", f"a span is from {start!r:.30} to {end!r:.30} with the label {kind!r:.30}; two whole "
                               "numbers and a text were expected.", fix=f"Fix it, or {LEAVE_OUT}")
    return {"start": start, "end": end, "type": kind}
