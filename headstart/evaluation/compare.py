"""Cheap baselines on the same split, and the model's paired difference from each."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headstart.contract import Baseline, Example, Feature, Json, Task
from headstart.evaluation.evaluate import SplitEvaluation, differences, evaluate

if TYPE_CHECKING:
    from headstart.contract import Floats


@dataclass(frozen=True)
class BaselineComparison:
    """One baseline's scores, and the model's minus them; `seconds` is the time to fit and predict."""

    name: str
    split: str
    evaluated: SplitEvaluation
    difference: Mapping[str, Json]
    seconds: float
    size_bytes: int

    def json(self) -> dict[str, Json]:
        """The comparison as in scores.json."""
        return {
            "split": self.split,
            "scores": {name: score.json() for name, score in self.evaluated.scores.items()},
            "difference": dict(self.difference),
            "seconds": round(self.seconds, 3),
            "size_bytes": self.size_bytes,
        }


def compare_baseline(task: Task[Any], baseline: Baseline, train: Sequence[Example], evaluation: SplitEvaluation, *,
                     split: str, states: Callable[[Sequence[Example]], Floats], resamples: int, seed: int,
                     features: Callable[[Sequence[Example]], Sequence[Sequence[Feature]]]
                     | None = None) -> BaselineComparison:
    """Fit one baseline on the training rows and score it on the rows that the model was scored on.

    `states` gives the untrained backbone's pooled states of examples, `features` their features; called only for
    baselines that need them.
    """
    def inputs_of(examples: Sequence[Example]) -> Any:
        if baseline.needs_features:
            assert features is not None, f"{baseline.name} needs features"
            return features(examples)
        return states(examples) if baseline.needs_states else None

    start = time.perf_counter()
    fitted = baseline.fit(train, inputs_of(train), seed)
    predictions = fitted.predict(evaluation.examples, inputs_of(evaluation.examples))
    seconds = time.perf_counter() - start
    baseline_evaluation = evaluate(task, evaluation.examples, predictions, resamples=resamples, seed=seed)
    difference = differences(task, evaluation, baseline_evaluation, resamples=resamples, seed=seed)
    return BaselineComparison(baseline.name, split, baseline_evaluation, difference, seconds, fitted.size_bytes)
