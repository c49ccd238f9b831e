"""Doccano's exports: a text with `label` [[start, end, type]], with `entities`, or with a list of classes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from headstart.contract import Column, Json, RowFault
from headstart.data.schemas._cells import (
    LEAVE_OUT,
    UNLABELLED,
    column_named,
    filled_cells,
    list_of_texts,
    one_label,
    span_of,
)
from headstart.data.schemas.schema import LeftOutRow, Schema, row_by_row
from headstart.text.json_values import parse_cell

TEXTS, LABELS = ("text", "data"), ("label", "labels")


def recognise(columns: Sequence[Column]) -> Schema | None:
    """A text with spans [[0, 4, "person"]] or [{"start_offset": …}], or with one class in a list."""
    text = column_named(columns, TEXTS)
    if text is None or not all(isinstance(value, str) or value is None for value in text.values):
        return None
    names = [column.name for column in columns]
    for names_of_spans, is_span, words in (
            (("entities",), is_entity, "entities"), (LABELS, is_triple, "label [[start, end, type]]")):
        column = column_named(columns, names_of_spans)
        cells = filled_cells(column)
        if column is not None and any(cells) and all(isinstance(cell, list) and all(map(is_span, cell))
                                                     for cell in cells):
            return Schema("doccano", f"Doccano export: spans of {words}", ("text", "spans"),
                          (text.name, column.name), row_by_row(names, spans_reader(text.name, column.name)))
    return classes(text, column_named(columns, LABELS[:1]), names)


def classes(text: Column, label: Column | None, names: Sequence[str]) -> Schema | None:
    """The schema of one class a text, each in a list of its own; lists of several are labels without a schema."""
    cells = [] if label is None else [value for value in label.values if value is not None]
    if label is None or not any(cells) or not all(
            isinstance(cell, list) and len(cell) <= 1 and all(isinstance(entry, str) for entry in cell)
            for cell in cells):
        return None
    text_name, label_name = text.name, label.name

    def read(values: Mapping[str, Json]) -> tuple[Json, ...] | LeftOutRow:
        labels = list_of_texts(values[label_name], label_name)
        if not labels:
            return LeftOutRow(UNLABELLED, (values[text_name], None))
        return values[text_name], one_label(labels, label_name)

    return Schema("doccano", "Doccano export: one class in a list", ("text", "label"), (text_name, label_name),
                  row_by_row(names, read))


def spans_reader(text: str, spans: str) -> Callable[[Mapping[str, Json]], tuple[Json, ...] | LeftOutRow]:
    """What reads a row with spans."""
    def read(values: Mapping[str, Json]) -> tuple[Json, ...] | LeftOutRow:
        cell = parse_cell(values[spans])
        if cell is None:
            return LeftOutRow(UNLABELLED, (values[text], None))
        if not isinstance(cell, list):
            raise RowFault("E303", f'"{spans}" is {cell!r:.60}, a list of spans was expected.',
                           fix=f"Fix it, or {LEAVE_OUT}")
        return values[text], [read_span(entry) for entry in cell]

    return read


def read_span(entry: Json) -> dict[str, Json]:
    """[0, 4, "person"] or {"start_offset": 0, "end_offset": 4, "label": "person"} as a span; raises RowFault."""
    if isinstance(entry, Mapping):
        return span_of(entry.get("start_offset"), entry.get("end_offset"), entry.get("label"))
    start, end, kind = entry if isinstance(entry, list) and len(entry) == 3 else (None, None, None)
    return span_of(start, end, kind)


def is_triple(entry: Json) -> bool:
    """Whether it is [0, 4, "person"]."""
    return isinstance(entry, list) and len(entry) == 3 and all(type(number) is int for number in entry[:2]) and \
        isinstance(entry[2], str)


def is_entity(entry: Json) -> bool:
    """Whether it is {"start_offset": 0, "end_offset": 4, "label": "person"}, or a triple."""
    return is_triple(entry) or (isinstance(entry, Mapping) and {"start_offset", "end_offset", "label"} <= set(entry))
