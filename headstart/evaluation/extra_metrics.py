"""Scores by metrics of other packages, on the same resamples as the task's own.

M examples, R resamples.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from headstart.contract import Example, Measures, Metric, Prediction, Task
from headstart.errors import Exit, UserError
from headstart.metrics.installed import find, origin

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from headstart.contract import Floats

PREFIX = "extra:"  # of measures, so that they are never those of a task
GOLD, PREDICTED = PREFIX + "gold", PREFIX + "predicted"


def measure(task: Task[Any], example: Example, prediction: Prediction) -> dict[str, Any]:
    """What one example adds to the scores: the metric's number, or both answers for one that needs all rows."""
    gold, predicted = task.gold(example), prediction.values["prediction"]
    references = [str(text) for text in gold] or [""] if isinstance(gold, list | tuple) else [gold]
    measures: dict[str, Any] = {}
    for name in task.extra_metrics:
        metric = find(name)
        if metric.per_row:
            numbers = [call(metric, reference, predicted) for reference in references]
            measures[PREFIX + name] = max(numbers) if metric.higher_is_better else min(numbers)
        else:
            measures |= {GOLD: gold, PREDICTED: predicted}
    return measures


def score(task: Task[Any], measures: Measures, weights: Floats, own_scores: Mapping[str, NDArray[Any]]
          ) -> dict[str, NDArray[Any]]:
    """The task's scores and after them those of the metrics: weights (R, M) -> name: (R,).

    Raises UserError (78) for a metric with the name of one of the task's scores.
    """
    import numpy as np

    scores = dict(own_scores)
    for name in task.extra_metrics:
        metric = find(name)
        if name in own_scores:
            raise UserError(f"There are two scores with the name {name!r}: one of {task.name} of headstart, and "
                            f"{origin(name)}.", fix="Leave it out of evaluation.extra_metrics, or rename that metric.",
                            exit=Exit.SETTINGS)
        if metric.per_row:
            with np.errstate(invalid="ignore"):
                scores[name] = weights @ measures[PREFIX + name] / weights.sum(axis=1)
        else:
            scores[name] = np.asarray([split_score(metric, measures, row_weights) for row_weights in weights])
    return scores


def split_score(metric: Metric, measures: Measures, weights: Floats) -> float:
    """A metric of all rows, each as often as the resample (M,) has it."""
    import numpy as np

    indices = np.repeat(np.arange(len(weights)), weights.astype(np.int64))
    return call(metric, measures[GOLD][indices].tolist(), measures[PREDICTED][indices].tolist())


def call(metric: Metric, gold: Any, predicted: Any) -> float:
    """The metric's number; raises UserError (69) with its origin when it fails."""
    try:
        return float(metric.function(gold, predicted))
    except Exception as error:
        raise UserError(f"The metric {metric.name!r} ({origin(metric.name)}) failed: {type(error).__name__}: {error}. "
                        f"The gold answer was {gold!r:.80}, the prediction {predicted!r:.80}.",
                        fix="Leave it out of evaluation.extra_metrics, or report it to its makers.",
                        exit=Exit.UNAVAILABLE) from error


def describe(task: Task[Any], name: str, measures: Measures) -> tuple[str, bool, str]:
    """Definition of a score, whether higher is better, and why it is undefined when it is."""
    if name not in task.extra_metrics:
        return task.describe(name, measures)
    metric = find(name)
    return f"{metric.definition} ({origin(name)})", metric.higher_is_better, "the metric gave NaN"
