"""Scores of predictions, each with its interval and signature.

M examples, R resamples.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headstart.contract import Example, Json, Measures, Prediction, Score, Task
from headstart.evaluation import extra_metrics
from headstart.metrics import intervals

if TYPE_CHECKING:
    from headstart.contract import Floats, Ints


@dataclass(frozen=True)
class SplitEvaluation:
    """A model's (or baseline's) predictions on one split, with their scores."""

    examples: Sequence[Example]
    predictions: Sequence[Prediction]
    measures: Measures
    groups: Ints | None
    scores: Mapping[str, Score]
    precision: str = ""  # what the model computed in; "" for no model
    folds: int = 0  # models that predicted the rows, each those that it was not trained on; 0: one model, all rows


def evaluate(task: Task[Any], examples: Sequence[Example], predictions: Iterable[Prediction], *, resamples: int,
             seed: int, precision: str = "", folds: int = 0) -> SplitEvaluation:
    """Scores on the labelled examples, the task's first score first; 95 % intervals unless resamples is 0.

    `precision` is what the model computed its predictions in, "" where no model did; `folds` how many models predicted
    out of fold. Both stand in the signatures.
    """
    joined_predictions = list(task.join_predictions(examples, list(predictions)))
    measures = measure(task, examples, joined_predictions)
    groups = group_indices_of(task, examples)
    return SplitEvaluation(examples, joined_predictions, measures, groups,
                           scores(task, measures, groups, resamples=resamples, seed=seed, precision=precision,
                                  folds=folds), precision, folds)


def measure(task: Task[Any], examples: Sequence[Example], predictions: Iterable[Prediction]) -> Measures:
    """The measures of every example, stacked: name -> (M, …)."""
    import numpy as np

    predictions = task.join_predictions(examples, list(predictions))

    columns: dict[str, list[Any]] = {}
    for example, prediction in zip(examples, predictions, strict=True):
        measures = {**task.measure(example, prediction), **extra_metrics.measure(task, example, prediction)} \
            if task.extra_metrics else task.measure(example, prediction)
        for name, value in measures.items():
            columns.setdefault(name, []).append(value)
    return {name: np.asarray(values) for name, values in columns.items()}


def group_indices_of(task: Task[Any], examples: Iterable[Example]) -> Ints | None:
    """The index of each example's group; None when every example is a group of its own."""
    import numpy as np

    group_indices: dict[Any, int] = {}
    groups = [group_indices.setdefault(task.group(example), len(group_indices)) for example in examples]
    return None if len(group_indices) == len(groups) else np.asarray(groups, dtype=np.int64)


def scores(task: Task[Any], measures: Measures, groups: Ints | None, *, resamples: int, seed: int,
           precision: str = "", folds: int = 0) -> dict[str, Score]:
    """Every score of the task with interval, number of rows and signature."""
    rows = len(next(iter(measures.values())))
    score_intervals = intervals.bootstrap(scorer(task, measures), rows, resamples, seed, groups)
    scores = {}
    for name, interval in score_intervals.items():
        definition, higher, reason = extra_metrics.describe(task, name, measures)
        signature = intervals.signature(name, definition, rows, resamples, seed, groups, precision, folds)
        undefined_reason = (reason if interval.value is None else None) or interval.reason
        scores[name] = Score(interval.value, interval.low, interval.high, rows, signature, higher, undefined_reason)
    return scores


def scorer(task: Task[Any], measures: Measures) -> intervals.Scorer:
    """Every score of the task, and of extra metrics, as a function of the examples' weights."""
    def score(weights: Floats) -> Mapping[str, Any]:
        own_scores = task.score(measures, weights)
        return extra_metrics.score(task, measures, weights, own_scores) if task.extra_metrics else own_scores
    return score


def differences(task: Task[Any], evaluation: SplitEvaluation, baseline: SplitEvaluation, *, resamples: int,
                seed: int) -> dict[str, Json]:
    """An evaluation's scores minus those of a baseline, on the same resamples of the same rows, with intervals."""
    rows = len(evaluation.predictions)
    score_intervals = intervals.paired_bootstrap(scorer(task, evaluation.measures), scorer(task, baseline.measures),
                                                 rows, resamples, seed, evaluation.groups)
    return {name: {"value": interval.value, "low": interval.low, "high": interval.high}
            for name, interval in score_intervals.items()}
