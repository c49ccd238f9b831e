"""File in, file out: the user's rows with their predictions beside them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from headstart.contract import Example, Json, Prediction, Task
from headstart.data.writers import writing
from headstart.errors import UserError
from headstart.prediction.journal import Journal, journalled, key_of
from headstart.prediction.predict import predict
from headstart.preparation.examples import Reading, read_examples, stop_on_faults
from headstart.progress import Voice
from headstart.settings import Data

if TYPE_CHECKING:
    from headstart.models.model import Model


def predict_file(task: Task[Any], model: Model, path: str, to: str, *, settings: Data, given: Mapping[str, str],
                 batch_tokens: int, voice: Voice, as_training_data: bool = False) -> int:
    """Predict every row of a file, in order; the output appears whole. Returns how many rows were predicted.

    Raises DataError (65) for rows that cannot be read, unless settings.bad_rows is "skip"; then they are left out
    and counted. With `as_training_data` the predictions stand in the place of the target, in a file that `finetune` reads
    (pseudo-labels); raises UserError (2) for a task whose target is more than one column.
    """
    target = pseudo_target(task) if as_training_data else ""
    reading = read_examples(task, path, settings, given=given, training=False)
    skipped = stop_on_faults([reading], settings, None)
    voice.say(f"{reading.table.path}: {len(reading.examples):,} rows; {reading.table.format}")
    if skipped:
        voice.say(f"left out {skipped:,} rows that cannot be used")
    journal = Journal(to, key_of(task, model, f"{reading.table.sha256} {reading.columns} {settings}")) if (
        task.writes and "-" not in (path, to) and reading.table.sha256) else None
    answers = (predict(task, model, reading.examples, batch_tokens=batch_tokens) if journal is None else
               journalled(journal, task, model, reading.examples, batch_tokens=batch_tokens, voice=voice))
    answers = cut_told(answers, voice) if task.writes else answers
    rows = labelled(reading, answers, target, voice) if target else joined(reading, answers, voice)
    first = next(rows, None)
    form = reading.table.format.split(",")[0].strip()
    with writing(to, columns_out(reading, first), form if form in ("csv", "tsv", "jsonl", "json", "parquet") else "jsonl") as out:
        if first is not None:
            out.write(first)
        for row in rows:
            out.write(row)
    if journal is not None:
        journal.end()
    return len(reading.examples)


def cut_told(predictions: Iterable[Prediction], voice: Voice) -> Iterator[Prediction]:
    """The predictions, and at their end how many sources did not fit."""
    cut = 0
    for prediction in predictions:
        cut += bool(prediction.detail.get("cut"))
        yield prediction
    if cut:
        voice.say(f"{cut:,} sources are longer than the model takes: their ends were left out (--set task.long=chunks reads them in parts)")


def joined(reading: Reading, predictions: Iterable[Prediction], voice: Voice) -> Iterator[dict[str, Json]]:
    """The input's columns with the prediction's; progress is told as rows pass."""
    examples, table = reading.examples, reading.table
    names: dict[str, str] | None = None
    for done, (place, prediction) in enumerate(zip(examples.indices, predictions, strict=True), start=1):
        if names is None:
            names = free_names(table.columns, prediction.values)
        record = table[int(place)]
        row = dict(zip(table.columns, record.values, strict=True))
        yield row | {names[name]: value for name, value in prediction.values.items()}
        if done % 1000 == 0 or done == len(examples):
            voice.progress(done, len(examples), "rows")


def pseudo_target(task: Task[Any]) -> str:
    """The one field that a prediction can take the place of; raises UserError (2)."""
    targets = [field.name for field in task.fields if field.target]
    if len(targets) != 1 or not next(field.required for field in task.fields if field.target):
        raise UserError(f"Predictions of {task.name} are no training data: " + (
            f"its target is {' and '.join(targets)}." if targets else "it learns from texts alone."),
            fix="--as-training-data is for tasks with one target: a label, labels, a number, an answer or a text.")
    return targets[0]


def labelled(reading: Reading, predictions: Iterable[Prediction], target: str, voice: Voice) -> Iterator[dict[str, Json]]:
    """What the task reads of each row, and the prediction as its target; other columns are left out."""
    examples, table = reading.examples, reading.table
    name = next(iter(reading.columns.get(target, ())), target)
    kept = [column for field, columns in reading.columns.items() if field != target for column in columns]
    for done, (place, prediction) in enumerate(zip(examples.indices, predictions, strict=True), start=1):
        row = dict(zip(table.columns, table[int(place)].values, strict=True))
        yield {column: row[column] for column in kept} | {name: prediction.values["prediction"]}
        if done % 1000 == 0 or done == len(examples):
            voice.progress(done, len(examples), "rows")


def free_names(taken: Sequence[str], added: Mapping[str, Json]) -> dict[str, str]:
    """A prediction's column names; one that the input has already gets the suffix _predicted."""
    return {name: f"{name}_predicted" if name in taken else name for name in added}


def columns_out(reading: Reading, first: Mapping[str, Json] | None) -> list[str]:
    """The header of the output."""
    return list(first) if first is not None else list(reading.table.columns)


def record_of(example: Example, prediction: Prediction, gold: Json) -> dict[str, Json]:
    """A line of predictions.jsonl: row id, gold, and the prediction's values."""
    return {"row": example.row, "gold": gold, **prediction.values}
