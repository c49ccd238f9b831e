"""Scores of a model on rows: for `evaluate`, and for the end of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from headstart.contract import Example, Predictor, Task
from headstart.data.examples import open_named_file, read_examples, stop_on_faults
from headstart.errors import Exit, UserError
from headstart.evaluation.evaluate import SplitEvaluation, evaluate
from headstart.evaluation.slices import evaluate_slices
from headstart.files import write_text
from headstart.metrics.installed import with_extra_metrics
from headstart.prediction.predictions_file import report_progress, write_predictions
from headstart.preparation.slices import check_slice_columns
from headstart.progress import Reporter
from headstart.settings import Data, Evaluation


def evaluate_rows(predictor: Predictor, examples: Sequence[Example], *, evaluation: Evaluation,
                  seed: int) -> dict[str, Any]:
    """{"test": scores, "tables": {"test": …}} of labelled examples."""
    task = with_extra_metrics(predictor.task, evaluation.extra_metrics)
    examples = predictor.compose(examples, seed=seed)
    predictions = predictor.predict(examples, seed=seed)
    return as_scores(task, {"test": evaluate(task, examples, predictions, resamples=evaluation.resamples, seed=seed)})


def as_scores(task: Task[Any], evaluations: Mapping[str, SplitEvaluation]) -> dict[str, Any]:
    """Evaluations in the form of scores.json."""
    return {**{split: {name: score.json() for name, score in evaluated.scores.items()}
               for split, evaluated in evaluations.items()},
            "tables": {split: task.tables(evaluated.measures) for split, evaluated in evaluations.items()}}


def evaluate_file(predictor: Predictor, path: str, *, settings: Data, columns: Mapping[str, str],
                  evaluation: Evaluation, seed: int, to: str | None, reporter: Reporter) -> dict[str, Any]:
    """Scores on a labelled file; with `to`, a folder gets scores.json and predictions.jsonl.

    Raises DataError for faulty rows, UserError (73) when the folder holds scores already.
    """
    task = with_extra_metrics(predictor.task, evaluation.extra_metrics)
    folder = Path(to) if to is not None else None
    if folder is not None and (folder / "scores.json").exists():
        raise UserError(f"{folder} already holds scores.json.", fix="Choose another folder with --to.",
                        exit=Exit.EXISTS)
    table = open_named_file(path, settings)
    check_slice_columns(settings.slice_by, {"test": table})
    reading = read_examples(task, path, settings, columns=columns, training=True, table=table)
    skipped = stop_on_faults([reading], settings, None)
    reporter.info(f"{reading.table.path}: {len(reading.examples):,} rows; {reading.table.format}")
    if skipped:
        reporter.info(f"skipped {skipped:,} rows that cannot be used")
    if any(label.startswith("LABEL_") for label in task.answer_labels):
        reporter.info("the model's labels have no names: 0 in the file is LABEL_0, 1 is LABEL_1 and so on")
    file_labels = {task.stratum(example) for example in reading.examples}
    unknown_labels = sorted(label for label in file_labels if label is not None and label not in task.answer_labels)
    if task.learned.labels and unknown_labels:
        reporter.info(f"{len(unknown_labels)} labels of the file are unknown to the model and count as wrong: "
                      f"{', '.join(unknown_labels[:5])}")
    examples = predictor.compose(reading.examples, seed=seed)
    predictions = report_progress(predictor.predict(examples, seed=seed), len(examples), reporter)
    evaluated = evaluate(task, examples, predictions,
                         resamples=evaluation.resamples, seed=seed)
    slice_evaluations = evaluate_slices(task, "test", reading.examples, evaluated, settings.slice_by,
                                        resamples=evaluation.resamples,
                                         seed=seed)
    scores = as_scores(task, {"test": evaluated, **slice_evaluations})
    if folder is not None:
        import json

        folder.mkdir(parents=True, exist_ok=True)
        write_predictions(folder / "predictions.jsonl", task, {"test": (evaluated.examples, evaluated.predictions)})
        write_text(folder / "scores.json", json.dumps(scores, ensure_ascii=False, indent=2, allow_nan=False) + "\n")
    return scores
