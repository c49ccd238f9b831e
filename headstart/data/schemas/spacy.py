"""spaCy's training examples: ["text", {"entities": [[0, 4, "person"]]}], and `cats` {"sport": 1.0, "news": 0.0}."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from headstart.contract import Column, Json, RowFault
from headstart.data.schemas._cells import LEAVE_OUT, UNLABELLED, filled_cells, has_several, one_label, span_of
from headstart.data.schemas.schema import LeftOutRow, Schema, row_by_row
from headstart.text.json_values import parse_cell


def recognise(columns: Sequence[Column]) -> Schema | None:
    """Pairs of a text and an object with entities or cats; or a text beside a column `cats` of such objects."""
    names = [column.name for column in columns]
    if names == ["0", "1"] and all(isinstance(value, str) for value in columns[0].values):
        notes = [cell for cell in columns[1].values if isinstance(cell, Mapping)]
        if notes and len(notes) == len(columns[1].values) and all({"entities", "cats"} & set(note) for note in notes):
            return pairs(names, notes)
        return None
    cats = next((column for column in columns if column.name == "cats"), None)
    cells = filled_cells(cats)
    if cats is None or "text" not in names or not cells or not all(map(is_cats, cells)):
        return None
    target = "labels" if has_several(map(positive_cats, cells)) or not all(map(positive_cats, cells)) else "label"
    return Schema("spacy", f"spaCy classes: {target} are the cats of at least 0.5", ("text", target), ("text", "cats"),
                  row_by_row(names, lambda values: classified(values["text"], values["cats"], target)))


def pairs(names: Sequence[str], notes: Sequence[Mapping[str, Json]]) -> Schema | None:
    """The schema of pairs of a text and its annotations."""
    if any(note.get("entities") for note in notes):
        unused = "; cats are not used" if any(note.get("cats") for note in notes) else ""
        return Schema("spacy", f"spaCy training examples: spans are the entities{unused}", ("text", "spans"),
                      ("0", "1"), row_by_row(names, lambda values: (values["0"], entities_of(values["1"]))))
    cells = [note.get("cats") for note in notes]
    if not all(map(is_cats, cells)):
        return None
    target = "labels" if has_several(map(positive_cats, cells)) or not all(map(positive_cats, cells)) else "label"
    return Schema("spacy", f"spaCy training examples: {target} are the cats of at least 0.5", ("text", target),
                  ("0", "1"), row_by_row(names, lambda values: classified(
                      values["0"], values["1"].get("cats") if isinstance(values["1"], Mapping) else None, target)))


def entities_of(note: Json) -> list[dict[str, Json]]:
    """The spans of an annotation; raises RowFault."""
    entries = note.get("entities", []) if isinstance(note, Mapping) else None
    if not isinstance(entries, list) or not all(isinstance(entry, list) and len(entry) >= 3 for entry in entries):
        raise RowFault("E303", f"the annotation is {note!r:.60}; entities [[start, end, type]] were expected.",
                       fix=f"Fix it, or {LEAVE_OUT}")
    return [span_of(*entry[:3]) for entry in entries]


def is_cats(cell: Json) -> bool:
    """Whether it is {"sport": 1.0, "news": 0.0}."""
    return isinstance(cell, Mapping) and bool(cell) and all(isinstance(score, int | float) and 0 <= score <= 1
                                                            for score in cell.values())


def positive_cats(cell: Json) -> list[str]:
    """The names of the classes that are there."""
    return [name for name, score in cell.items() if score >= 0.5] if isinstance(cell, Mapping) else []


def classified(text: Json, cell: Json, target: str) -> tuple[Json, ...] | LeftOutRow:
    """A text with its classes, or its only class; left out where there is none to read; raises RowFault."""
    cats = parse_cell(cell)
    if cats in (None, "", {}):
        return LeftOutRow(UNLABELLED, (text, None))
    if not is_cats(cats):
        raise RowFault("E305", f'"cats" is {cats!r:.60}; {{"class": 1.0}} was expected.', fix=f"Fix it, or {LEAVE_OUT}")
    labels = positive_cats(cats)
    if target == "labels":
        return text, labels
    return (text, one_label(labels, "cats")) if labels else LeftOutRow("without a class", (text, None))
