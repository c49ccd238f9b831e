"""File in, file out: the user's rows with their predictions beside them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from headstart.contract import Json, Prediction, Predictor, Task
from headstart.data.examples import Reading, read_examples, stop_on_faults
from headstart.data.writers import open_writer
from headstart.errors import UserError
from headstart.prediction.journal import PredictionJournal, journal_key, predict_with_journal
from headstart.progress import Reporter
from headstart.settings import Data


def predict_file(predictor: Predictor, path: str, to: str, *, settings: Data, columns: Mapping[str, str],
                 reporter: Reporter, as_training_data: bool = False) -> int:
    """Predict every row of a file, in order; the output appears whole. Returns how many rows were predicted.

    Raises DataError (65) for rows that cannot be read, unless settings.bad_rows is "skip"; then they are left out
    and counted. With `as_training_data` the predictions take the place of the target, in a file that `finetune` reads
    (pseudo-labels); raises UserError (2) for a task whose target is more than one column.
    """
    task = predictor.task
    target = pseudo_target(task) if as_training_data else ""
    reading = read_examples(task, path, settings, columns=columns, training=False)
    skipped = stop_on_faults([reading], settings, None)
    reporter.info(f"{reading.table.path}: {len(reading.examples):,} rows; {reading.table.format}")
    if skipped:
        reporter.info(f"skipped {skipped:,} rows that cannot be used")
    generates = task.generates(list(reading.columns))

    def write(predictions: Iterator[Prediction]) -> None:
        predictions = report_truncated(task, predictions, reporter) if generates else predictions
        write_rows(to, reading, pseudo_labelled_rows(reading, predictions, target, reporter) if target
                   else predicted_rows(reading, predictions, reporter,
                                       task.prediction_columns(list(reading.columns), reading.examples)))

    if not generates or "-" in (path, to) or not reading.table.sha256:
        write(predictor.predict(reading.examples))
        return len(reading.examples)
    journal = PredictionJournal(to, journal_key(predictor, f"{reading.table.sha256} {reading.columns} {settings}"))
    with journal.locked():
        write(predict_with_journal(journal, predictor, reading.examples, reporter=reporter))
        journal.remove()
    return len(reading.examples)


def write_rows(to: str, reading: Reading, rows: Iterator[dict[str, Json]]) -> None:
    """The rows in the format that the output's name says, else in the input's."""
    first_row = next(rows, None)
    input_format = reading.table.format.split(",")[0].strip()
    output_format = input_format if input_format in ("csv", "tsv", "jsonl", "json", "parquet") else "jsonl"
    with open_writer(to, output_columns(reading, first_row), output_format) as writer:
        if first_row is not None:
            writer.write(first_row)
        for row in rows:
            writer.write(row)


def report_truncated(task: Task[Any], predictions: Iterable[Prediction], reporter: Reporter) -> Iterator[Prediction]:
    """The predictions, and at their end how many sources did not fit."""
    truncated = 0
    for prediction in predictions:
        truncated += bool(prediction.detail.get("cut"))
        yield prediction
    if truncated:
        reporter.info(f"{truncated:,} sources are longer than the model takes: they were truncated "
                      "(--set task.long_source=chunks reads them in parts)" if hasattr(task.settings, "long_source")
                      else f"{truncated:,} prompts are longer than the model takes: they were truncated")


def predicted_rows(reading: Reading, predictions: Iterable[Prediction], reporter: Reporter,
                   all_columns: Sequence[str] = ()) -> Iterator[dict[str, Json]]:
    """The input's columns with the prediction's (of `all_columns`, those that it has not are None); progress is
    reported as rows pass.
    """
    blank: dict[str, Json] = dict.fromkeys(all_columns)
    examples, table = reading.examples, reading.table
    names: dict[str, str] | None = None
    for count, (row_index, prediction) in enumerate(zip(examples.indices, predictions, strict=True), start=1):
        if names is None:
            names = prediction_columns(table.columns, blank | dict(prediction.values))
        record = table[int(row_index)]
        row = dict(zip(table.columns, record.values, strict=True))
        yield row | {names[name]: value for name, value in (blank | dict(prediction.values)).items()}
        if count % 1000 == 0 or count == len(examples):
            reporter.progress(count, len(examples), "rows")


def pseudo_target(task: Task[Any]) -> str:
    """The one field that a prediction can take the place of; raises UserError (2)."""
    targets = [field.name for field in task.fields if field.target]
    if len(targets) != 1 or not next(field.required for field in task.fields if field.target):
        raise UserError(f"Predictions of {task.name} are no training data: " + (
            f"its target is {' and '.join(targets)}." if targets else "it learns from texts alone."),
            fix="--as-training-data is for tasks with one target: a label, labels, a number, an answer or a text.")
    return targets[0]


def pseudo_labelled_rows(reading: Reading, predictions: Iterable[Prediction], target: str,
                         reporter: Reporter) -> Iterator[dict[str, Json]]:
    """What the task reads of each row, and the prediction as its target; other columns are left out."""
    examples, table = reading.examples, reading.table
    name = next(iter(reading.columns.get(target, ())), target)
    input_columns = [column for field, columns in reading.columns.items() if field != target for column in columns]
    for count, (row_index, prediction) in enumerate(zip(examples.indices, predictions, strict=True), start=1):
        row = dict(zip(table.columns, table[int(row_index)].values, strict=True))
        yield {column: row[column] for column in input_columns} | {name: prediction.values["prediction"]}
        if count % 1000 == 0 or count == len(examples):
            reporter.progress(count, len(examples), "rows")


def prediction_columns(input_columns: Sequence[str], values: Mapping[str, Json]) -> dict[str, str]:
    """A prediction's column names; one that the input has already gets the suffix _predicted."""
    return {name: f"{name}_predicted" if name in input_columns else name for name in values}


def output_columns(reading: Reading, first_row: Mapping[str, Json] | None) -> list[str]:
    """The header of the output."""
    return list(first_row) if first_row is not None else list(reading.table.columns)
