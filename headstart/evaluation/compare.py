"""Was it worth it? Cheap baselines on the same split, and the paired difference to ours."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headstart.contract import Baseline, Example, Feature, Json, Task
from headstart.evaluation.evaluate import Evaluated, differences, evaluate

if TYPE_CHECKING:
    from headstart.contract import Floats


@dataclass(frozen=True)
class Compared:
    """One baseline's scores beside ours; `seconds` fits and predicts."""

    name: str
    split: str
    evaluated: Evaluated
    difference: Mapping[str, Json]
    seconds: float
    size_bytes: int

    def json(self) -> dict[str, Json]:
        """The same as scores.json holds it."""
        return {
            "split": self.split,
            "scores": {name: score.json() for name, score in self.evaluated.scores.items()},
            "difference": dict(self.difference),
            "seconds": round(self.seconds, 3),
            "size_bytes": self.size_bytes,
        }


def compare(task: Task[Any], baseline: Baseline, train: Sequence[Example], ours: Evaluated, *, split: str,
            states: Callable[[Sequence[Example]], Floats], resamples: int, seed: int,
            features: Callable[[Sequence[Example]], Sequence[Sequence[Feature]]] | None = None) -> Compared:
    """Fit one baseline on the training rows and score it on the rows that ours was scored on.

    `states` gives the untrained backbone's pooled states of examples, `features` what the model saw of them; asked only
    by baselines that need them.
    """
    def more(examples: Sequence[Example]) -> Any:
        if baseline.needs_features:
            assert features is not None, f"{baseline.name} needs features"
            return features(examples)
        return states(examples) if baseline.needs_states else None

    begun = time.perf_counter()
    rival = baseline.fit(train, more(train), seed)
    answers = rival.predict(ours.examples, more(ours.examples))
    seconds = time.perf_counter() - begun
    theirs = evaluate(task, ours.examples, answers, resamples=resamples, seed=seed)
    difference = differences(task, ours, theirs, resamples=resamples, seed=seed)
    return Compared(baseline.name, split, theirs, difference, seconds, rival.size_bytes)


def compared(task: Task[Any], train: Sequence[Example], ours: Evaluated, **options: Any) -> Iterator[Compared]:
    """Every baseline of the task, cheapest first."""
    for baseline in task.baselines():
        yield compare(task, baseline, train, ours, **options)
