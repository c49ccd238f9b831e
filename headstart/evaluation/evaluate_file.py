"""Scores of a model on rows: for `evaluate`, and for the end of a run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from headstart.contract import Predictor, Task
from headstart.data.examples import Reading, open_named_file, read_examples, stop_on_faults
from headstart.data.readers.table_builder import TextReading
from headstart.data.table import Table
from headstart.errors import Exit, UserError, findings_text
from headstart.evaluation.confidence import risk_coverage_table, with_selective_scores
from headstart.evaluation.depths import compare_depths
from headstart.evaluation.evaluate import SplitEvaluation, evaluate
from headstart.evaluation.slices import evaluate_slices
from headstart.evaluation.zero_shot import check_file_labels, majority_baseline
from headstart.files import disk_errors, write_text
from headstart.metrics.installed import with_extra_metrics
from headstart.prediction.every_row import tell_other_columns
from headstart.prediction.predictions_file import report_progress, write_predictions
from headstart.prediction.processes import Sharing, predict_rows
from headstart.prediction.zero_shot.predictor import ZeroShotPredictor
from headstart.preparation.slices import check_slice_columns
from headstart.progress import Reporter
from headstart.settings import Data, Evaluation


def as_scores(task: Task[Any], evaluations: Mapping[str, SplitEvaluation]) -> dict[str, Any]:
    """Evaluations in the form of scores.json."""
    return {**{split: {name: score.json() for name, score in evaluated.scores.items()}
               for split, evaluated in evaluations.items()},
            "tables": {split: task.tables(evaluated.measures) for split, evaluated in evaluations.items()}}


def evaluate_file(predictor: Predictor, path: str, *, settings: Data, columns: Mapping[str, str],
                  evaluation: Evaluation, seed: int, to: str | None, reporter: Reporter,
                  compares_depths: bool = True, memory_table: Table | None = None,
                  sharing: Sharing | None = None) -> dict[str, Any]:
    """Scores on a labelled file, or on a table in memory; with `to`, a folder gets scores.json and predictions.jsonl.

    Those of a model that answers texts early stand beside its scores at full depth, unless not `compares_depths`.

    Raises DataError for faulty rows, UserError (73) when the folder holds scores already.
    """
    task = with_extra_metrics(predictor.task, evaluation.extra_metrics)
    refuse_scored_folder(to)
    table = open_named_file(path, settings, TextReading(task.reads_text_as)) if memory_table is None else memory_table
    check_slice_columns(settings.slice_by, {"test": table})
    reading = read_examples(task, path, settings, columns=columns, training=True, table=table)
    skipped = stop_on_faults([reading], settings, None)
    reporter.info(f"{reading.table.path}: {reading.table.describe_rows()}")
    tell_notes(reading, reporter)
    if table.rows_choice is not None:
        reporter.info(table.rows_choice.words(table.path))
    if skipped:
        reporter.info(f"skipped {skipped:,} rows that cannot be used")
    tell_other_columns(task, reading, reporter)
    tell_labels(predictor, task, reading, reporter)
    examples = predictor.compose(reading.examples, seed=seed)
    predictions = report_progress(predict_rows(predictor, examples, seed=seed, sharing=sharing), len(examples),
                                  reporter)
    evaluated = evaluate(task, examples, predictions, resamples=evaluation.resamples, seed=seed,
                         precision=predictor.precision)
    evaluated = with_selective_scores(task, evaluated, resamples=evaluation.resamples, seed=seed)
    slice_evaluations = evaluate_slices(task, "test", reading.examples, evaluated, settings.slice_by,
                                        resamples=evaluation.resamples,
                                         seed=seed)
    scores = as_scores(task, {"test": evaluated, **slice_evaluations})
    if task.abstention is not None:
        scores["tables"]["test"]["risk_coverage"] = risk_coverage_table(task, evaluated)
    if compares_depths:
        scores |= compare_depths(predictor, evaluated, split="test", resamples=evaluation.resamples, seed=seed,
                                 reporter=reporter)
    if isinstance(predictor, ZeroShotPredictor):
        scores |= majority_baseline(task, evaluated, resamples=evaluation.resamples, seed=seed, reporter=reporter)
    write_scores(to, task, evaluated, scores)
    return scores


def tell_labels(predictor: Predictor, task: Task[Any], reading: Reading, reporter: Reporter) -> None:
    """How the file's labels fit those of the model; raises UserError (65) where none is among labels of one's own."""
    if any(label.startswith("LABEL_") for label in task.answer_labels):
        reporter.info("the model's labels have no names: 0 in the file is LABEL_0, 1 is LABEL_1 and so on")
    if isinstance(predictor, ZeroShotPredictor):
        check_file_labels(task, reading.examples, reading.table.path, reporter)
        return
    file_labels = {task.stratum(example) for example in reading.examples}
    unknown_labels = sorted(label for label in file_labels if label is not None and label not in task.answer_labels)
    if task.learned.labels and unknown_labels:
        reporter.info(f"{len(unknown_labels)} labels of the file are unknown to the model and count as wrong: "
                      f"{', '.join(unknown_labels[:5])}")


def tell_notes(reading: Reading, reporter: Reporter) -> None:
    """How the file was read where there was a choice: its encoding, what separates labels, what answers are."""
    if notes := [finding for finding in reading.findings if finding.level == "note"]:
        reporter.info(findings_text(notes))


def refuse_scored_folder(to: str | None) -> None:
    """Refuse to write scores over others; raises UserError (73)."""
    if to is None:
        return
    if Path(to).exists() and not Path(to).is_dir():
        raise UserError(f"{to} is a file, and a folder gets the scores.", fix="Choose another place with --to.",
                        exit=Exit.EXISTS)
    name = next((name for name in ("scores.json", "predictions.jsonl") if (Path(to) / name).exists()), None)
    if name is not None:
        raise UserError(f"{to} already holds {name}.", fix="Choose another folder with --to.", exit=Exit.EXISTS)


def write_scores(to: str | None, task: Task[Any], evaluated: SplitEvaluation, scores: Mapping[str, Any]) -> None:
    """scores.json and predictions.jsonl in a folder, where one was named; raises UserError (74)."""
    if to is None:
        return
    import json

    folder = Path(to)
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    write_predictions(folder / "predictions.jsonl", task, {"test": (evaluated.examples, evaluated.predictions)})
    write_text(folder / "scores.json", json.dumps(scores, ensure_ascii=False, indent=2, allow_nan=False) + "\n")
