"""Scores of the slices of a split: test/de, test/fr …"""

from __future__ import annotations

from typing import Any

from headstart.contract import Task
from headstart.data.examples import Examples
from headstart.evaluation.evaluate import SplitEvaluation, evaluate
from headstart.preparation.slices import rows_by_value


def evaluate_slices(task: Task[Any], split: str, rows: Examples, evaluated: SplitEvaluation, slice_by: str, *,
                    resamples: int, seed: int) -> dict[str, SplitEvaluation]:
    """The scores of each slice of a split, from the predictions for all of it: {"test/de": …}; {} without `slice_by`.
    """
    slices = {}
    for value, row_ids in (rows_by_value(rows, slice_by) if slice_by else {}).items():
        indices = [index for index, example in enumerate(evaluated.examples) if example.row in row_ids]
        if indices:
            slices[f"{split}/{value}"] = evaluate(
                task, [evaluated.examples[index] for index in indices],
                [evaluated.predictions[index] for index in indices], resamples=resamples, seed=seed,
                precision=evaluated.precision, folds=evaluated.folds)
    return slices
