"""Scores of predictions, each with its interval and signature.

M examples, R resamples.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headstart.contract import Example, Json, Measures, Prediction, Score, Task
from headstart.metrics import intervals

if TYPE_CHECKING:
    from headstart.contract import Floats, Ints


@dataclass(frozen=True)
class Evaluated:
    """A model's (or baseline's) answers on one split, and what they are worth."""

    examples: Sequence[Example]
    predictions: Sequence[Prediction]
    measures: Measures
    groups: Ints | None
    scores: Mapping[str, Score]


def evaluate(task: Task[Any], examples: Sequence[Example], predictions: Iterable[Prediction], *, resamples: int,
             seed: int) -> Evaluated:
    """Scores on the labelled examples, the task's first score first; 95 % intervals unless resamples is 0."""
    kept = list(task.together(examples, list(predictions)))
    measures = measure(task, examples, kept)
    groups = group_numbers(task, examples)
    return Evaluated(examples, kept, measures, groups, scores(task, measures, groups, resamples=resamples, seed=seed))


def measure(task: Task[Any], examples: Sequence[Example], predictions: Iterable[Prediction]) -> Measures:
    """What every example adds to the scores, stacked: name -> (M, …)."""
    import numpy as np

    predictions = task.together(examples, list(predictions))

    columns: dict[str, list[Any]] = {}
    for example, prediction in zip(examples, predictions, strict=True):
        for name, value in task.measure(example, prediction).items():
            columns.setdefault(name, []).append(value)
    return {name: np.asarray(values) for name, values in columns.items()}


def group_numbers(task: Task[Any], examples: Iterable[Example]) -> Ints | None:
    """The number of each example's group; None when every example stands alone."""
    import numpy as np

    numbers: dict[Any, int] = {}
    groups = [numbers.setdefault(task.group(example), len(numbers)) for example in examples]
    return None if len(numbers) == len(groups) else np.asarray(groups, dtype=np.int64)


def scores(task: Task[Any], measures: Measures, groups: Ints | None, *, resamples: int, seed: int) -> dict[str, Score]:
    """Every score of the task with interval, number of rows and signature."""
    rows = len(next(iter(measures.values())))
    held = intervals.bootstrap(lambda weights: task.score(measures, weights), rows, resamples, seed, groups)
    found = {}
    for name, interval in held.items():
        definition, higher, reason = task.describe(name, measures)
        signature = intervals.signature(name, definition, rows, resamples, seed, groups)
        why = (reason if interval.value is None else None) or interval.reason
        found[name] = Score(interval.value, interval.low, interval.high, rows, signature, higher, why)
    return found


def differences(task: Task[Any], ours: Evaluated, theirs: Evaluated, *, resamples: int, seed: int) -> dict[str, Json]:
    """Ours minus theirs for each score, on the same resamples of the same rows, with interval."""
    def scorer(measures: Measures) -> Any:
        def score(weights: Floats) -> Mapping[str, Any]:
            return task.score(measures, weights)
        return score

    rows = len(ours.predictions)
    held = intervals.paired(scorer(ours.measures), scorer(theirs.measures), rows, resamples, seed, ours.groups)
    return {name: {"value": one.value, "low": one.low, "high": one.high} for name, one in held.items()}
