"""Scores of predictions that a file holds, without a model: what `evaluate` gives for the same predictions."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from headstart.contract import Json, Prediction, RowFault, Task
from headstart.contract.abstention import with_withheld
from headstart.data.examples import MAX_LISTED, Reading, open_named_file, read_examples, stop_on_faults
from headstart.errors import DataError, Finding
from headstart.evaluation.evaluate import SplitEvaluation, evaluate
from headstart.evaluation.evaluate_file import as_scores, refuse_scored_folder, tell_notes, write_scores
from headstart.evaluation.prediction_rows import match_rows, read_prediction_rows
from headstart.evaluation.slices import evaluate_slices
from headstart.metrics.installed import with_extra_metrics
from headstart.preparation.choose_task import find_task
from headstart.preparation.slices import check_slice_columns
from headstart.progress import Reporter
from headstart.settings import Data, Evaluation
from headstart.settings.run_settings import parse_task_settings


def score_predictions(predictions: str, gold: str, *, task: str | None, task_settings: Mapping[str, Json],
                      columns: Mapping[str, str], column: str | None, split: str | None, settings: Data,
                      evaluation: Evaluation, seed: int, to: str | None, reporter: Reporter) -> dict[str, Any]:
    """The task's scores with intervals, in the form of scores.json.

    `column` names the predictions' column, `split` a split of a run's predictions.jsonl. Raises DataError for faulty
    rows, and for predictions that are missing or of no row; UserError (2) for a task that predictions do not suffice
    for.
    """
    refuse_scored_folder(to)
    table = open_named_file(gold, settings)
    check_slice_columns(settings.slice_by, {"test": table})
    task_class, _, reason = find_task(table, task, columns)
    labelled_task = with_extra_metrics(task_class(parse_task_settings(task_class.Settings, task_settings)),
                               evaluation.extra_metrics)
    reporter.info(f"task: {labelled_task.name}, because {reason}")
    reading = read_examples(labelled_task, gold, settings, columns=columns, training=True, table=table)
    tell_notes(reading, reporter)
    if skipped := stop_on_faults([reading], settings, None):
        reporter.info(f"skipped {skipped:,} rows that cannot be used")
    rows = read_prediction_rows(predictions, settings, column, split)
    inputs = [name for field in labelled_task.fields if not field.target
              for name in reading.columns.get(field.name, ())]
    matching = match_rows(rows, reading, inputs)
    reporter.info(f"{gold}: {len(reading.examples):,} labelled rows; {rows.path}: their predictions, {matching.reason}")
    prediction_rows = [with_withheld(values, labelled_task.answer_columns) for values in matching.rows]
    scored_task = labelled_task.with_learned(labelled_task.learn_from_predictions(reading.examples, prediction_rows))
    read = read_predictions(scored_task, reading, prediction_rows, rows.path)
    evaluated = evaluate(scored_task, reading.examples, read, resamples=evaluation.resamples, seed=seed)
    slices = evaluate_slices(scored_task, "test", reading.examples, evaluated, settings.slice_by,
                             resamples=evaluation.resamples, seed=seed)
    missing = missing_scores(scored_task, rows.columns)
    evaluations = {name: without_scores(part, missing) for name, part in {"test": evaluated, **slices}.items()}
    if missing:
        reporter.info(f"not computed, because the predictions have no column for them: {', '.join(missing)}")
    scores = as_scores(scored_task, evaluations)
    if missing:
        scores["tables"] = {}  # they show what is missing, too
    write_scores(to, scored_task, evaluations["test"], scores)
    return scores


def read_predictions(task: Task[Any], reading: Reading, rows: Sequence[Mapping[str, Json]],
                     path: str) -> list[Prediction]:
    """Each row as the task's prediction; raises DataError with every row that is none."""
    predictions, findings, counts = [], list[Finding](), Counter[str]()
    for example, values in zip(reading.examples, rows, strict=True):
        try:
            predictions.append(task.read_prediction(example, values))
        except RowFault as fault:
            counts[fault.code] += 1
            if counts[fault.code] <= MAX_LISTED:
                findings.append(Finding(fault.code, f"the prediction of row {example.row}: {fault.message}", fault.fix,
                                        path, row=example.row))
    if findings:
        raise DataError(findings, counts=counts)
    return predictions


def missing_scores(task: Task[Any], columns: Sequence[str]) -> dict[str, str]:
    """The scores that rest on a column which the predictions lack, with that column."""
    return {score: column for column, scores in task.scores_by_column.items() if column not in columns
            for score in scores}


def without_scores(evaluated: SplitEvaluation, missing: Mapping[str, str]) -> SplitEvaluation:
    """The evaluation with those scores undefined, and why."""
    scores = {name: score if name not in missing else dataclasses.replace(
        score, value=None, low=None, high=None, reason=f"the predictions have no column {missing[name]!r}")
        for name, score in evaluated.scores.items()}
    return dataclasses.replace(evaluated, scores=scores)
