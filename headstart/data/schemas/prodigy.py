"""Prodigy's exports: a text with spans, a label or chosen options, and an answer: accept, reject or ignore."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from headstart.contract import Column, Json, RowFault
from headstart.data.schemas._cells import (
    LEAVE_OUT,
    UNLABELLED,
    column_named,
    filled_cells,
    has_several,
    list_of_texts,
    one_label,
    span_of,
)
from headstart.data.schemas.schema import LeftOutRow, Schema, row_by_row
from headstart.text.json_values import parse_cell

ACCEPTED, LEFT_OUT = "accept", {"reject": "rejected", "ignore": "ignored"}
HASHES = {"_input_hash", "_task_hash", "_session_id", "_view_id"}
Read = Callable[[Mapping[str, Json]], tuple[Json, ...] | LeftOutRow]


def recognise(columns: Sequence[Column]) -> Schema | None:
    """A column `answer` that holds nothing but accept, reject and ignore, beside texts with spans, label or options."""
    names = {column.name for column in columns}
    answers = {value for column in columns if column.name == "answer" for value in column.values
               if isinstance(value, str)}
    if not answers or not answers <= {ACCEPTED, *LEFT_OUT} or "text" not in names:
        return None
    sources, target, read_target, words = target_of(columns, names)
    if read_target is None:
        return None

    def read(values: Mapping[str, Json]) -> tuple[Json, ...] | LeftOutRow:
        text, answer = values["text"], values["answer"]
        if answer in LEFT_OUT:
            return LeftOutRow(LEFT_OUT[answer], (text, None))
        if answer is None:
            return LeftOutRow(UNLABELLED, (text, None))
        if answer != ACCEPTED:
            raise RowFault("E110", f'"answer" is {answer!r:.40}; accept, reject or ignore was expected.',
                           fix=f"Write one of them, or {LEAVE_OUT}")
        value = read_target(values)
        return LeftOutRow(UNLABELLED, (text, None)) if value is None else (text, value)

    return Schema("prodigy", f"Prodigy export: {words}; only accepted rows", ("text", target),
                  ("text", "answer", *sources, *(HASHES & names)),
                  row_by_row([column.name for column in columns], read))


def target_of(columns: Sequence[Column], names: set[str],
              ) -> tuple[tuple[str, ...], str, Callable[[Mapping[str, Json]], Json] | None, str]:
    """The columns that hold the target, the field that they become, what reads it, and words for it."""
    if {"options", "accept"} <= names or ("accept" in names and "config" in names):
        accepted = column_named(columns, ("accept",))
        is_multiple = has_several(cell for cell in filled_cells(accepted) if isinstance(cell, list))
        sources = ("accept", *({"options", "config"} & names))
        if is_multiple:
            return sources, "labels", lambda values: list_of_texts(values["accept"], "accept"), "chosen options"
        return sources, "label", chosen_option, "the chosen option"
    if "spans" in names:
        return ("spans", *({"tokens"} & names)), "spans", read_spans, "spans"
    if "label" in names:
        return ("label",), "label", lambda values: values["label"], "labels of whole texts"
    return (), "", None, ""


def chosen_option(values: Mapping[str, Json]) -> Json:
    """The only chosen option; None where none was."""
    options = list_of_texts(values["accept"], "accept")
    return one_label(options, "accept") if options else None


def read_spans(values: Mapping[str, Json]) -> list[Json]:
    """The spans of an accepted row; one without any holds no entity. Raises RowFault."""
    cell = parse_cell(values["spans"])
    if cell in (None, ""):
        return []
    if not isinstance(cell, list) or not all(isinstance(entry, Mapping) for entry in cell):
        raise RowFault("E303", f'"spans" is {cell!r:.60}, a list of spans was expected.', fix=f"Fix it, or {LEAVE_OUT}")
    return [span_of(entry.get("start"), entry.get("end"), entry.get("label")) for entry in cell]
