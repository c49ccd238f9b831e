"""Cheap baselines on the same split, and the model's paired difference from each."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headstart.contract import Baseline, Example, Feature, FittedBaseline, Json, Prediction, Task
from headstart.evaluation.evaluate import SplitEvaluation, differences, evaluate

if TYPE_CHECKING:
    from headstart.contract import Floats


Fits = dict[str, tuple[FittedBaseline, float]]  # by the baseline's name: what was fitted on the training rows, seconds


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
                     features: Callable[[Sequence[Example]], Sequence[Sequence[Feature]]] | None = None,
                     fits: Fits | None = None) -> BaselineComparison:
    """Fit one baseline on the training rows and score it on the rows that the model was scored on.

    `states` gives the untrained backbone's pooled states of examples, `features` their features; called only for
    baselines that need them. What `fits` holds is not fitted again; its seconds count as if it were.
    """
    fits = {} if fits is None else fits
    start = time.perf_counter()
    if baseline.name not in fits:
        fitted = baseline.fit(train, baseline_inputs(baseline, train, states, features), seed)
        fits[baseline.name] = fitted, time.perf_counter() - start
        start = time.perf_counter()
    fitted, fit_seconds = fits[baseline.name]
    predictions = fitted.predict(evaluation.examples,
                                 baseline_inputs(baseline, evaluation.examples, states, features))
    return comparison_of(task, baseline.name, predictions, evaluation, split=split, resamples=resamples, seed=seed,
                         seconds=fit_seconds + time.perf_counter() - start, size_bytes=fitted.size_bytes)


def compare_in_folds(task: Task[Any], baseline: Baseline, fold_rows: Sequence[tuple[Sequence[int], Sequence[int]]],
                     evaluation: SplitEvaluation, *, split: str, states: Callable[[Sequence[Example]], Floats],
                     resamples: int, seed: int,
                     features: Callable[[Sequence[Example]], Sequence[Sequence[Feature]]]) -> BaselineComparison:
    """Fit one baseline for each fold, on the rows that the fold's model was trained on, and score it as the model was.

    `fold_rows` are the places of each fold's training rows and of those that it predicts; the inputs of all rows are
    made once. The size is that of the largest.
    """
    start, examples = time.perf_counter(), evaluation.examples
    inputs = baseline_inputs(baseline, examples, states, features)

    def inputs_at(places: Sequence[int]) -> Any:
        if inputs is None:
            return None
        return [inputs[place] for place in places] if baseline.needs_features else inputs[[*places]]

    predictions: dict[int, Prediction] = {}
    sizes = []
    for train_places, places in fold_rows:
        fitted = baseline.fit([examples[place] for place in train_places], inputs_at(train_places), seed)
        fold_predictions = fitted.predict([examples[place] for place in places], inputs_at(places))
        predictions |= zip(places, fold_predictions, strict=True)
        sizes.append(fitted.size_bytes)
    return comparison_of(task, baseline.name, [predictions[place] for place in range(len(examples))], evaluation,
                         split=split, resamples=resamples, seed=seed, seconds=time.perf_counter() - start,
                         size_bytes=max(sizes))


def baseline_inputs(baseline: Baseline, examples: Sequence[Example], states: Callable[[Sequence[Example]], Floats],
                    features: Callable[[Sequence[Example]], Sequence[Sequence[Feature]]] | None) -> Any:
    """What the baseline reads beside the examples: their features, the pooled states of the backbone, or None."""
    if baseline.needs_features:
        assert features is not None, f"{baseline.name} needs features"
        return features(examples)
    return states(examples) if baseline.needs_states else None


def comparison_of(task: Task[Any], name: str, predictions: Sequence[Prediction], evaluation: SplitEvaluation, *,
                  split: str, resamples: int, seed: int, seconds: float, size_bytes: int) -> BaselineComparison:
    """A baseline's predictions scored, and the model's difference from them."""
    baseline_evaluation = evaluate(task, evaluation.examples, predictions, resamples=resamples, seed=seed,
                                   folds=evaluation.folds)
    difference = differences(task, evaluation, baseline_evaluation, resamples=resamples, seed=seed)
    return BaselineComparison(name, split, baseline_evaluation, difference, seconds, size_bytes)
