"""Label Studio's JSON export: tasks with their data and annotations; and its flat JSON-MIN and CSV."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from headstart.contract import Column, Json, RowFault
from headstart.data.schemas._cells import (
    LEAVE_OUT,
    UNLABELLED,
    column_named,
    filled_cells,
    has_several,
    one_label,
    parsed,
    span_of,
)
from headstart.data.schemas.schema import LeftOutRow, Schema, row_by_row

SPAN_TYPES = ("labels", "hypertextlabels")
TEXT_KEYS = ("text", "content", "body", "review", "comment", "message", "sentence", "document")
MINIMUM_MARKS = ("annotation_id", "annotator", "lead_time", "created_at", "updated_at")
EXPORT_COLUMNS = frozenset(("data", "annotations", "completions", "predictions", "drafts", "meta", "created_at",
                            "updated_at", "inner_id", "total_annotations", "cancelled_annotations",
                            "total_predictions", "comment_count", "unresolved_comment_count", "last_comment_updated_at",
                            "project", "updated_by", "comment_authors", "file_upload", "allow_skip"))
Results = Sequence[Mapping[str, Any]]


def recognise(columns: Sequence[Column]) -> Schema | None:
    """Objects in `data` beside lists of annotations with results; or the flat form, known by its last columns."""
    column_of = {column.name: column for column in columns}
    annotations = column_of.get("annotations") or column_of.get("completions")
    if "data" in column_of and annotations is not None:
        return full_export(column_of["data"], annotations, [column.name for column in columns])
    if sum(name in column_of for name in MINIMUM_MARKS) >= 3 and "annotation_id" in column_of:
        return minimum_export(columns)
    return None


def full_export(texts: Column, annotations: Column, names: Sequence[str]) -> Schema | None:
    """The schema of tasks with annotations; None where no annotation is of spans or choices."""
    first_results = [first_annotation(cell)[0] for cell in annotations.values]
    results = [part for row_results in first_results if row_results for part in row_results]
    spans = [part for part in results if part["type"] in SPAN_TYPES]
    choices = [part for part in results if part["type"] == "choices"]
    part_type, parts = ("spans", spans) if spans else ("choices", choices)
    text_key = key_of_text(texts, parts)
    if not parts or text_key is None:
        return None
    control = parts[0].get("from_name")
    unused = sorted({f"{part.get('from_name')} ({part['type']})" for part in results
                     if part.get("from_name") != control})
    is_multiple = any(isinstance(cell, list) and len(cell) > 1 for cell in annotations.values)
    words = "".join((f", text is data.{text_key}", "; of several annotators the first is taken" if is_multiple else "",
                     f"; {', '.join(unused)} not used" if unused else ""))
    target = "spans" if spans else "labels" if has_several(
        choices_in(row_results, control) for row_results in first_results if row_results is not None) else "label"

    def read(values: Mapping[str, Json]) -> tuple[Json, ...] | LeftOutRow:
        text = text_at(values["data"], text_key)
        row_results, reason = first_annotation(values[annotations.name])
        if row_results is None:
            return LeftOutRow(reason, (text, None))
        if target == "spans":
            return text, [read_span(part, text) for part in row_results
                          if part["type"] in SPAN_TYPES and part.get("from_name") == control]
        return labelled(text, choices_in(row_results, control), target)

    return Schema("label-studio", f"Label Studio export: {part_type} of {control}{words}", ("text", target),
                  tuple(name for name in names if name in EXPORT_COLUMNS), row_by_row(names, read))


def first_annotation(cell: Json) -> tuple[Results | None, str]:
    """The results of the first annotation that was not cancelled; without one, None and the reason."""
    entries = parsed(cell)
    annotations = [entry for entry in entries if isinstance(entry, Mapping)] if isinstance(entries, list) else []
    for annotation in annotations:
        results = annotation.get("result")
        if not annotation.get("was_cancelled") and isinstance(results, list):
            return [part for part in results if isinstance(part, Mapping) and isinstance(part.get("value"), Mapping)
                    and isinstance(part.get("type"), str)], ""
    return None, "cancelled" if annotations else UNLABELLED


def key_of_text(texts: Column, parts: Results) -> str | None:
    """Under which key of `data` the text stands: the one that the annotations name, a usual one, the only one."""
    objects = [cell for cell in texts.values if isinstance(cell, Mapping)]
    keys = [key for key in dict.fromkeys(key for cell in objects for key in cell)
            if any(isinstance(cell.get(key), str) for cell in objects)]
    annotated = [part.get("to_name") for part in parts[:1]]
    known_keys = [key for key in (*annotated, *TEXT_KEYS) if key in keys]
    return known_keys[0] if known_keys else keys[0] if len(keys) == 1 else None


def text_at(cell: Json, key: str) -> str:
    """The text of a task; raises RowFault."""
    text = cell.get(key) if isinstance(cell, Mapping) else None
    if not isinstance(text, str):
        raise RowFault("E201", f"data.{key} holds no text.", fix=f"Fill it in, or {LEAVE_OUT}")
    return text


def choices_in(results: Results, control: Json) -> list[str]:
    """The choices of a row under one control."""
    return [str(choice) for part in results if part["type"] == "choices" and part.get("from_name") == control
            for choice in part["value"].get("choices") or []]


def labelled(text: Json, labels: list[str], target: str) -> tuple[Json, ...] | LeftOutRow:
    """A row with its labels, or its only label; left out where none was chosen."""
    if not labels:
        return LeftOutRow("without a choice", (text, None))
    return text, labels if target == "labels" else one_label(labels, "choices")


def read_span(part: Mapping[str, Any], text: str) -> dict[str, Json]:
    """A span of an annotation; raises RowFault where its text is not at its place."""
    value = part["value"]
    return placed_span(value, value.get(part["type"]) or value.get("labels"), text)


def placed_span(value: Mapping[str, Any], kinds: Json, text: str) -> dict[str, Json]:
    """A span at its place; offsets that count UTF-16 units, as browsers do, are put right."""
    if not isinstance(kinds, list) or len(kinds) != 1:
        raise RowFault("E303", f"a span has the labels {kinds!r:.60}; one was expected.", fix=f"Fix it, or {LEAVE_OUT}")
    span = span_of(value.get("start"), value.get("end"), kinds[0])
    quoted, (start, end) = value.get("text"), (span["start"], span["end"])
    if not isinstance(quoted, str) or text[start:end] == quoted:
        return span
    units = text.encode("utf-16-le")
    before, quote = (units[2 * begin:2 * stop].decode("utf-16-le", errors="replace")
                      for begin, stop in ((0, start), (start, end)))
    if quote == quoted:
        return span_of(len(before), len(before) + len(quote), kinds[0])
    raise RowFault("E303", f"the span {start} to {end} is {text[start:end]!r:.40} in the text, and {quoted!r:.40} in "
                           "the annotation.", fix=f"Was the text changed since? Export it again, or {LEAVE_OUT}")


def minimum_export(columns: Sequence[Column]) -> Schema | None:
    """The schema of a flat export (JSON-MIN, CSV): the text, and a column of spans, of choices, or of one choice."""
    names = [column.name for column in columns]
    text = column_named(columns, TEXT_KEYS)
    further_columns = [column for column in columns if column is not text and column.name not in (*MINIMUM_MARKS, "id")]
    if text is None:
        return None
    for column in further_columns:
        cells = filled_cells(column)
        if cells and all(isinstance(cell, list) and all(isinstance(entry, Mapping) and {"start", "end"} <= set(entry)
                                                        for entry in cell) for cell in cells) and any(cells):
            return flat_schema(text.name, column.name, "spans", names, spans_at)
    for column in further_columns:
        label_lists = [choices_of(cell) for cell in filled_cells(column)]
        is_choice = column.name.lower() in ("choice", "choices", "label", "labels", "sentiment", "class", "category") \
            or any(isinstance(cell, Mapping) and "choices" in cell for cell in filled_cells(column))
        if label_lists and is_choice:
            target = "labels" if has_several(label_lists) else "label"
            return flat_schema(text.name, column.name, target, names, choices_reader(target))
    return None


def choices_reader(target: str) -> Callable[[Json, str], tuple[Json, ...] | LeftOutRow]:
    """What reads a cell with choices as labels, or as the only label."""
    return lambda cell, text: labelled(text, choices_of(cell), target)


def flat_schema(text: str, column: str, target: str, names: Sequence[str],
                read_cell: Callable[[Json, str], tuple[Json, ...] | LeftOutRow]) -> Schema:
    """The schema of a flat export whose target stands in `column`."""
    def read(values: Mapping[str, Json]) -> tuple[Json, ...] | LeftOutRow:
        return read_cell(parsed(values[column]), text_at(values, text))

    return Schema("label-studio", f'Label Studio export (minimal): {target} are "{column}"', ("text", target),
                  (text, column, *(name for name in names if name in MINIMUM_MARKS)), row_by_row(names, read))


def spans_at(cell: Json, text: str) -> tuple[Json, ...] | LeftOutRow:
    """The row of a flat export with spans."""
    if cell in (None, ""):
        return LeftOutRow(UNLABELLED, (text, None))
    entries = cell if isinstance(cell, list) and all(isinstance(entry, Mapping) for entry in cell) else None
    if entries is None:
        raise RowFault("E303", f"the spans are {cell!r:.60}, a list of spans was expected.",
                       fix=f"Fix it, or {LEAVE_OUT}")
    return text, [placed_span(entry, entry.get("labels") or entry.get("hypertextlabels"), text) for entry in entries]


def choices_of(cell: Json) -> list[str]:
    """The choices in a cell: a text, a list, or {"choices": […]}."""
    choices = cell.get("choices") if isinstance(cell, Mapping) else cell
    return [] if choices in (None, "") else [str(choice) for choice in choices] if isinstance(choices, list) else [
        str(choices)]
