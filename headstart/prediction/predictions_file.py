"""Predictions on labelled rows as a run keeps them: predictions.jsonl, and a few golden ones in the artifact."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from headstart.contract import Example, Json, Prediction, Task
from headstart.data.writers import open_writer
from headstart.progress import Reporter

ROWS_BETWEEN_REPORTS = 512
GOLDEN_ROWS = 3  # that are kept with the model


def report_progress(predictions: Iterable[Prediction], total: int, reporter: Reporter) -> Iterator[Prediction]:
    """The predictions, with progress reported as they pass."""
    for count, prediction in enumerate(predictions, start=1):
        yield prediction
        if count % ROWS_BETWEEN_REPORTS == 0 or count == total:
            reporter.progress(count, total, "rows")


def write_predictions(path: Path, task: Task[Any],
                      splits: Mapping[str, tuple[Sequence[Example], Sequence[Prediction]]], *,
                      folds: Mapping[str, Sequence[int]] | None = None) -> None:
    """predictions.jsonl: every row's id, gold, and prediction, split by split; in `folds`, also the fold of each row.
    """
    with open_writer(str(path), (), overwrite=True) as writer:
        for split, (examples, predictions) in splits.items():
            marks = [{"fold": fold} for fold in (folds or {}).get(split, ())] or [{}] * len(examples)
            for example, prediction, mark in zip(examples, predictions, marks, strict=True):
                writer.write({"split": split, **mark, **prediction_record(example, prediction, task.gold(example))})


def prediction_record(example: Example, prediction: Prediction, gold: Json) -> dict[str, Json]:
    """A line of predictions.jsonl: row id, gold, and the prediction's values."""
    return {"row": example.row, "gold": gold, **prediction.values}


def golden_predictions(task: Task[Any], examples: Sequence[Example], predictions: Sequence[Prediction],
                       count: int = GOLDEN_ROWS) -> list[dict[str, Json]]:
    """The first predictions, kept in headstart.json so that a copy of the model can be checked."""
    pairs = list(zip(examples, predictions, strict=True))[:count]
    return [{"text": task.dedup_key(example), **prediction.values} for example, prediction in pairs]
