"""Label Studio's JSON export: tasks with their data and annotations; and its flat JSON-MIN and CSV."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from headstart.contract import Column, Json, RowFault
from headstart.data.row_store import Record
from headstart.data.schemas._cells import (
    LEAVE_OUT,
    UNLABELLED,
    column_named,
    filled_cells,
    has_several,
    one_label,
    span_of,
)
from headstart.data.schemas.schema import LeftOutRow, Schema, SchemaRow, row_by_row
from headstart.errors import Exit, UserError
from headstart.text.json_values import parse_cell

SPAN_TYPES = ("labels", "hypertextlabels")
# Kinds of annotations, those first that are taken where there are several, and what Label Studio calls them.
PART_TYPES = {"spans": SPAN_TYPES, "choices": ("choices",), "taxonomy": ("taxonomy",), "rating": ("rating",),
              "number": ("number",), "text": ("textarea",)}
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
    if "data" in column_of and annotations is not None and is_export(column_of["data"], annotations):
        return full_export(column_of["data"], annotations, [column.name for column in columns])
    if sum(name in column_of for name in MINIMUM_MARKS) >= 3 and "annotation_id" in column_of:
        return minimum_export(columns)
    return None


def is_export(texts: Column, annotations: Column) -> bool:
    """Whether columns hold objects, and lists of annotations with results; empty ones where nothing is annotated."""
    entries = [entry for cell in annotations.values if isinstance(cell, list) for entry in cell]
    return all(isinstance(cell, Mapping) for cell in texts.values) and all(
        isinstance(cell, list) for cell in annotations.values if cell is not None) and all(
        isinstance(entry, Mapping) and "result" in entry for entry in entries)


def full_export(texts: Column, annotations: Column, names: Sequence[str]) -> Schema:
    """The schema of tasks with annotations; raises UserError (65) where no annotation is of a kind that is read."""
    annotated_rows = [row_results for cell in annotations.values if (row_results := first_annotation(cell)[0])]
    results = [part for row_results in annotated_rows for part in row_results]
    part_type = next((name for name in PART_TYPES if any(part["type"] in PART_TYPES[name] for part in results)), "")
    if results and not part_type:
        raise unread_kinds({part["type"] for part in results})
    parts = [part for part in results if part["type"] in PART_TYPES.get(part_type, ())]
    text_key = key_of_text(texts, parts)
    if text_key is None:
        keys = ", ".join(dict.fromkeys(key for cell in texts.values if isinstance(cell, Mapping) for key in cell))
        raise UserError(f"the Label Studio export has no text that is sure to be the one: data holds {keys}.",
                        fix="Keep one text in data, or pass --set data.schema=none and name columns: --text data.KEY.",
                        exit=Exit.DATA)
    control = parts[0].get("from_name") if parts else None
    target = target_name(part_type, [values_in(row_results, part_type, control) for row_results in annotated_rows])

    def read(values: Mapping[str, Json]) -> tuple[Json, ...] | LeftOutRow:
        text = text_at(values["data"], text_key)
        row_results, reason = first_annotation(values[annotations.name])
        if row_results is None:
            return LeftOutRow(reason, (text, None))
        if target == "spans":
            return text, [read_span(part, text) for part in row_results
                          if part["type"] in SPAN_TYPES and part.get("from_name") == control]
        row_values = values_in(row_results, part_type, control)
        if target in ("label", "labels"):
            return labelled(text, row_values, target)
        return (text, row_values[0]) if row_values else LeftOutRow(f"without a {part_type}", (text, None))

    kind = f"{part_type} of {control}" if parts else "no annotation yet"
    words = "".join((f", text is data.{text_key}", annotator_words(annotations), unused_words(results, control)))
    return Schema("label-studio", f"Label Studio export: {kind}{words}",
                  ("source" if target == "target_text" else "text", target.removesuffix("_text")),
                  tuple(name for name in names if name in EXPORT_COLUMNS), row_by_row(names, read),
                  unread_parts=tuple(dict.fromkeys(f"data.{key}" for cell in texts.values if isinstance(cell, Mapping)
                                                   for key in cell if key != text_key)))


def unread_kinds(types: Collection[str]) -> UserError:
    """The refusal of annotations that no task learns from."""
    return UserError(f"the Label Studio export holds annotations of the kind {' and '.join(sorted(types))}, which no "
                     "task here learns from; spans, choices, taxonomies, ratings, numbers and written texts are read.",
                     fix="Export a project of one of these kinds, or pass --set data.schema=none and name columns.",
                     exit=Exit.DATA)


def target_name(part_type: str, row_values: Sequence[Sequence[Json]]) -> str:
    """The column that annotations of a kind become."""
    if part_type in ("choices", "taxonomy"):
        return "labels" if has_several(row_values) else "label"
    return {"rating": "rating", "number": "target", "text": "target_text", "": "label"}.get(part_type, "spans")


def values_in(results: Results, part_type: str, control: Json) -> list[Any]:
    """What was annotated under one control: choices, paths of a taxonomy as "Food / Fruit", a number, or a text."""
    values: list[Any] = []
    for part in results:
        if part["type"] not in PART_TYPES.get(part_type, ()) or part.get("from_name") != control:
            continue
        content = part["value"].get("text" if part_type == "text" else part["type"])
        if part_type == "taxonomy":
            values += paths_of(content)
        elif part_type == "choices":
            values += [str(choice) for choice in content or []]
        elif part_type == "text":
            values += ["\n".join(map(str, content)) if isinstance(content, list) else content]
        else:
            values += [content]
    return [value for value in values if value not in (None, "")]


def paths_of(cell: Json) -> list[str]:
    """[["Food", "Fruit"], ["Toy"]] as "Food / Fruit" and "Toy"."""
    return [" / ".join(map(str, path)) for path in cell if isinstance(path, list)] if isinstance(cell, list) else []


def annotator_words(annotations: Column) -> str:
    """How many of the first rows have several annotators, and in how many they differ; "" where none has."""
    with_several = differing = 0
    for cell in annotations.values:
        entries = [entry for entry in (cell if isinstance(cell, list) else [])
                   if isinstance(entry, Mapping) and not entry.get("was_cancelled")]
        with_several += len(entries) > 1
        differing += len({str([part.get("value") for part in entry.get("result") or [] if isinstance(part, Mapping)])
                          for entry in entries}) > 1
    rows = (f"of the first {len(annotations.values):,} rows {with_several:,} have several, and in {differing:,} they "
            "differ")
    return f"; of several annotators the first is taken ({rows})" if with_several else ""


def unused_words(results: Results, control: Json) -> str:
    """Which other annotations there are, in words; "" where there are none."""
    unused = sorted({f"{part.get('from_name')} ({part['type']})" for part in results
                     if part.get("from_name") != control})
    return f"; {', '.join(unused)} not used" if unused else ""


def first_annotation(cell: Json) -> tuple[Results | None, str]:
    """The results of the first annotation that was not cancelled; without one, None and the reason."""
    entries = parse_cell(cell)
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
    text = column_named(columns, TEXT_KEYS)
    further_columns = [column for column in columns if column is not text and column.name not in (*MINIMUM_MARKS, "id")]
    if text is None:
        return None
    for column in further_columns:
        cells = filled_cells(column)
        if cells and all(isinstance(cell, list) and all(isinstance(entry, Mapping) and {"start", "end"} <= set(entry)
                                                        for entry in cell) for cell in cells) and any(cells):
            return flat_schema(text.name, column.name, "spans", columns, spans_at)
    for column in further_columns:
        cells = filled_cells(column)
        if cells and all(isinstance(cell, list) and cell and all(isinstance(path, list) for path in cell)
                         for cell in cells):
            target = "labels" if has_several(map(paths_of, cells)) else "label"
            return flat_schema(text.name, column.name, target, columns, labels_reader(paths_of, target))
    for column in further_columns:
        label_lists = [choices_of(cell) for cell in filled_cells(column)]
        is_choice = column.name.lower() in ("choice", "choices", "label", "labels", "sentiment", "class", "category") \
            or any(isinstance(cell, Mapping) and "choices" in cell for cell in filled_cells(column))
        if label_lists and is_choice:
            target = "labels" if has_several(label_lists) else "label"
            return flat_schema(text.name, column.name, target, columns, labels_reader(choices_of, target))
    return None


def labels_reader(labels_of: Callable[[Json], list[str]],
                  target: str) -> Callable[[Json, str], tuple[Json, ...] | LeftOutRow]:
    """What reads a cell with choices, or paths of a taxonomy, as labels, or as the only label."""
    return lambda cell, text: labelled(text, labels_of(cell), target)


def flat_schema(text: str, column: str, target: str, columns: Sequence[Column],
                read_cell: Callable[[Json, str], tuple[Json, ...] | LeftOutRow]) -> Schema:
    """The schema of a flat export whose target stands in `column`; of several annotations of a task the first."""
    names = [column.name for column in columns]
    marks = tuple(name for name in names if name in MINIMUM_MARKS)

    def convert(records: Iterable[Record]) -> Iterator[SchemaRow]:
        annotated_tasks: set[Json] = set()

        def read(values: Mapping[str, Json]) -> tuple[Json, ...] | LeftOutRow:
            row = read_cell(parse_cell(values[column]), text_at(values, text))
            task = values.get("id")
            if task in annotated_tasks and not isinstance(row, LeftOutRow):
                return LeftOutRow("annotated again (the first annotation is taken)", row)
            if task not in (None, "") and not isinstance(row, LeftOutRow):
                annotated_tasks.add(task)
            return row

        yield from row_by_row(names, read)(records)

    words = flat_annotator_words(columns, column)
    return Schema("label-studio", f'Label Studio export (minimal): {target} are "{column}"{words}', ("text", target),
                  (text, column, *marks), convert, unread_parts=marks)


def flat_annotator_words(columns: Sequence[Column], column: str) -> str:
    """In how many of the first tasks several annotators differ; "" where each is annotated once."""
    by_name = {column.name: column.values for column in columns}
    answers: dict[str, list[str]] = {}
    for task, cell in zip(by_name.get("id", ()), by_name[column], strict=False):
        if task not in (None, "") and cell not in (None, ""):
            answers.setdefault(str(task), []).append(str(cell))
    repeated = [cells for cells in answers.values() if len(cells) > 1]
    differing = sum(len(set(cells)) > 1 for cells in repeated)
    return (f"; of several annotators the first is taken (of the first {len(answers):,} tasks {len(repeated):,} have "
            f"several, and in {differing:,} they differ)") if repeated else ""


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
