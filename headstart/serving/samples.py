"""A row of each task as an example: in the OpenAPI document, on the page, and as golden rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from headstart.api.model import Model
from headstart.artifacts.metadata import model_folder, read_metadata
from headstart.contract import Json, Row, RowFault, Task
from headstart.serving.rows import input_fields, needed_fields

VALUES: Mapping[str, Json] = {
    "text": "The parcel came a day early and the people at the door were friendly.",
    "pair": "The delivery was late.",
    "question": "When does the library open on Saturdays?",
    "passage": "The library opens at nine on weekdays and at ten on Saturdays. It is closed on Sundays.",
    "source": "The library opens at nine on weekdays and at ten on Saturdays. It is closed on Sundays and in August.",
    "context": "It began to rain, so she",
    "choices": ["opened her umbrella.", "watered the roses."],
    "prompt": "When it began to rain, she",
    "tokens": ["Ada", "Lovelace", "was", "born", "in", "London", "."],
    "messages": [{"role": "user", "content": "When does the library open?"}],
}


def sample_row(task: Task[Any]) -> dict[str, Json]:
    """A row with the fields that the task needs, and with the second text of a model that was trained on pairs."""
    names = needed_fields(task) or [task.text_field]
    optional = [field.name for field in input_fields(task) if field.name not in names]
    pairs = [name for name in optional if name == "pair" and "pair" in task.trained_columns]
    rows = [{name: VALUES.get(name, f"some {name}") for name in [*names, *further]}
            for further in (pairs, *([name] for name in optional))]
    return next((row for row in rows if is_readable(task, row)), rows[0])


def is_readable(task: Task[Any], row: Mapping[str, Json]) -> bool:
    """Whether the task takes a row: it may want one of several optional fields."""
    try:
        task.read(Row(0, row))
    except RowFault:
        return False
    return True


def example_rows(model: Model) -> list[dict[str, Json]]:
    """Rows to begin with on the page: the dev texts that the model's folder keeps, as rows of its task, else a sample.

    A text of two fields (a question and its passage) is kept with a line end between them.
    """
    task = model.task
    sample = sample_row(task)
    metadata = read_metadata(model_folder(model.reference)) or {}
    rows: list[dict[str, Json]] = []
    for golden in metadata.get("golden", ()):
        text = golden.get("text")
        parts = text.split("\n", len(sample) - 1) if isinstance(text, str) else []
        row: dict[str, Json] = dict(zip(sample, parts, strict=False))
        if row and is_readable(task, row) and task.dedup_key(task.read(Row(0, row))) == text:
            rows.append(row)
    return rows or [sample]


def golden_rows(model: Model) -> list[dict[str, Json]]:
    """Rows that a model can always be asked: the dev texts that its folder keeps, else a sample."""
    row = sample_row(model.task)
    metadata = read_metadata(model_folder(model.reference)) if list(row) == ["text"] else None
    texts = [golden.get("text") for golden in (metadata or {}).get("golden", ())]
    return [{"text": text} for text in texts if isinstance(text, str) and text.strip()] or [row]
