"""How long models take for the same rows, measured in turns so that other load on the machine affects all of them
equally.
"""

from __future__ import annotations

import statistics
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TypeVar

from headstart.contract import Example
from headstart.prediction.predictor import TaskPredictor, random_features

MAX_ROWS, GENERATED_ROWS = 512, 16  # of a split, at most; generating texts takes longer
ROUNDS = 5
Measure = TypeVar("Measure")


def median_milliseconds(predictors: Sequence[TaskPredictor], examples: Sequence[Example], *,
                        seed: int) -> list[float]:
    """The median milliseconds an example of each predictor, all of one task and on the same rows.

    Packed where the family packs, as predictions are. Making features is left out, but where texts are generated.
    """
    task, tokenizer = predictors[0].task, predictors[0].runtime.tokenizer
    row_count = min(len(examples), GENERATED_ROWS if task.generative else MAX_ROWS)
    timed_examples = [examples[index] for index in range(row_count)]
    features = [] if task.generative else [
        feature for example_features in random_features(task, tokenizer, timed_examples, seed)
        for feature in example_features]

    def milliseconds(predictor: TaskPredictor) -> float:
        computation = (partial(predictor.predict, timed_examples) if task.generative else
                       partial(predictor.runtime.outputs, features))
        return 1000 * seconds(computation) / len(timed_examples)

    return [statistics.median(timings) for timings in measure_in_turns(predictors, milliseconds)]


def measure_in_turns(predictors: Sequence[TaskPredictor],
                     measure: Callable[[TaskPredictor], Measure]) -> list[list[Measure]]:
    """What is measured of each predictor, once a round; a round before the first warms up."""
    measures_by_predictor: list[list[Measure]] = [[] for _ in predictors]
    for round_number in range(ROUNDS + 1):
        for measures, predictor in zip(measures_by_predictor, predictors, strict=True):
            value = measure(predictor)
            if round_number:
                measures.append(value)
    return measures_by_predictor


def seconds(computation: Callable[[], Iterable[object]]) -> float:
    """The time of a computation with all that it yields."""
    start = time.perf_counter()
    deque(computation(), maxlen=0)
    return time.perf_counter() - start
