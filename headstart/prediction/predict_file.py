"""File in, file out: the user's rows with their predictions beside them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

from headstart.contract import Json, Prediction, Predictor, Task
from headstart.data.examples import Reading, read_examples
from headstart.data.outputs.layout import Layout, output_layout
from headstart.data.outputs.place import check_output
from headstart.data.writers import open_writer
from headstart.prediction.abstained import report_abstentions
from headstart.prediction.every_row import (
    REASON,
    input_rows,
    prediction_columns,
    row_count,
    stop_on_broken_rows,
    tell_other_columns,
    tell_reading,
)
from headstart.prediction.journal import PredictionJournal, journal_key, predict_with_journal
from headstart.prediction.predictor import TRUNCATED
from headstart.prediction.processes import Sharing, predict_rows
from headstart.prediction.pseudo_labels import check_min_probability, pseudo_labelled_rows, pseudo_target
from headstart.progress import Reporter
from headstart.settings import Data


def predict_file(predictor: Predictor, path: str, to: str, *, settings: Data, columns: Mapping[str, str],
                 reporter: Reporter, as_training_data: bool = False, min_probability: float | None = None,
                 overwrite: bool = False, sharing: Sharing | None = None) -> int:
    """Predict every row of a file into another, which appears whole: a row for each row of the input, in order.

    A row without a text has an empty prediction and a reason; so has one that cannot be read, where settings.bad_rows
    is "skip" (else DataError, 65). With `as_training_data` the predictions take the place of the target, in a file that
    `finetune` reads (pseudo-labels), without such rows, and without those whose prediction has less than
    `min_probability`; raises UserError (2) for a task whose target is more than one column. Returns how many rows were
    written; raises UserError (73) where a file stands there already, unless `overwrite`, and always where that is the
    input.
    """
    task = predictor.task
    check_min_probability(min_probability)
    check_prediction_output(to, path, overwrite=overwrite)
    target = pseudo_target(task) if as_training_data or min_probability is not None else ""
    reading = read_examples(task, path, settings, columns=columns, training=False)
    stop_on_broken_rows(reading, settings)
    layout = output_layout(to, reading.table, settings)
    tell_reading(reading, reporter, "such rows are left out" if target else f"the column {REASON} says why")
    tell_other_columns(task, reading, reporter)
    if layout.note:
        reporter.info(layout.note)
    generates = task.generates(list(reading.columns))

    def write(predictions: Iterator[Prediction]) -> int:
        predictions = report_abstentions(task, predictions, reporter)
        predictions = report_truncated(task, predictions, reporter, generates=generates)
        rows = pseudo_labelled_rows(task, reading, predictions, target, reporter, min_probability) if target else (
            predicted_rows(reading, predictions, reporter,
                           task.prediction_columns(list(reading.columns), reading.examples), layout))
        return write_rows(to, rows, replace(layout, source="") if target else layout, overwrite=overwrite,
                          reporter=reporter)

    if not generates or "-" in (path, to) or not reading.table.sha256:
        return write(predict_rows(predictor, reading.examples, sharing=sharing))
    source = f"{reading.table.sha256} {reading.columns} {settings}"
    journal = PredictionJournal(to, journal_key(predictor, source, sharing))
    with journal.locked():
        if not journal.holds():
            check_output(to, overwrite=overwrite, inputs=(path,))
        count = write(predict_with_journal(journal, predictor, reading.examples, reporter=reporter, sharing=sharing))
        journal.remove()
    return count


def check_prediction_output(to: str, path: str, *, overwrite: bool, inputs: Sequence[str] = ()) -> None:
    """Refuse an output before any work; beside a journal it may be the one that was finished just before the end, which
    is looked at when that is read. Raises UserError (73, 74).
    """
    may_be_finished = to not in ("", "-") and PredictionJournal(to, "").path.exists()
    check_output(to, overwrite=overwrite or may_be_finished, inputs=(path, *inputs))


def write_rows(to: str, rows: Iterator[dict[str, Any]], layout: Layout, *, overwrite: bool, reporter: Reporter) -> int:
    """The rows in their layout; how many they are. Raises UserError (65, 73, 74)."""
    first_row = next(rows)
    count = 0
    with open_writer(to, list(first_row), layout, overwrite=overwrite, tell=reporter.warning) as writer:
        for row in chain([first_row], rows):
            writer.write(row)
            count += 1
    if not layout.has_header:
        reporter.info(f"as the input, the output has no header; its columns are {', '.join(first_row)}")
    return count


def report_truncated(task: Task[Any], predictions: Iterable[Prediction], reporter: Reporter, *,
                     generates: bool) -> Iterator[Prediction]:
    """The predictions, and at their end how many texts did not fit."""
    truncated = 0
    for prediction in predictions:
        truncated += bool(prediction.detail.get("cut" if generates else TRUNCATED))
        yield prediction
    if truncated and not generates:
        reporter.warning(truncation_words(truncated))
    elif truncated:
        reporter.info(f"{truncated:,} sources are longer than the model takes: they were truncated "
                      "(--set task.long_source=chunks reads them in parts)" if hasattr(task.settings, "long_source")
                      else f"{truncated:,} prompts are longer than the model takes: they were truncated")


def truncation_words(count: int) -> str:
    """That texts were longer than what the model reads of one."""
    subject = "1 text is longer than the model reads: its" if count == 1 else (
        f"{count:,} texts are longer than the model reads: their")
    return (f"{subject} end was left out (a model that is trained with a larger data.max_length, or with "
            "task.long_texts=windows, reads more)")


def predicted_rows(reading: Reading, predictions: Iterator[Prediction], reporter: Reporter,
                   all_columns: Sequence[str], layout: Layout) -> Iterator[dict[str, Any]]:
    """The input's columns with the prediction's (of `all_columns`, those that it has not are None), and why there is
    none where a row has none; progress is reported as rows pass.
    """
    first_prediction = next(predictions, None)
    predictions = chain([first_prediction] if first_prediction is not None else [], predictions)
    first_values = first_prediction.values if first_prediction is not None else {"prediction": None}
    blank: dict[str, Json] = dict.fromkeys((*all_columns, *first_values))
    total = row_count(reading)
    reason_column = [REASON] if total > len(reading.examples) else []
    names = prediction_columns([*reading.table.columns, *reading.table.builder.unused_columns],
                               [*blank, *reason_column])
    for count, row in enumerate(input_rows(reading, layout), start=1):
        values = blank | dict(next(predictions).values if not row.reason else {})
        values |= {REASON: row.reason or None} if reason_column else {}
        yield {**row.values, **{names[name]: value for name, value in values.items()}}
        if count % 1000 == 0 or count == total:
            reporter.progress(count, total, "rows")
    assert next(predictions, None) is None, "a prediction is left over"
