"""How long models take for the same rows, measured in turns so that other load on the machine affects all of them
equally.
"""

from __future__ import annotations

import statistics
import time
from collections import deque
from collections.abc import Sequence

from headstart.contract import Example
from headstart.prediction.predictor import TaskPredictor, random_features

MAX_ROWS, GENERATED_ROWS = 512, 16  # of a split, at most; generating texts takes longer


def median_milliseconds(predictors: Sequence[TaskPredictor], examples: Sequence[Example], *, seed: int,
                        rounds: int = 5) -> list[float]:
    """The median milliseconds an example of each predictor, all of one task and on the same rows.

    Packed where the family packs, as predictions are. Making features is left out, but where texts are generated.
    """
    task, tokenizer = predictors[0].task, predictors[0].runtime.tokenizer
    row_count = min(len(examples), GENERATED_ROWS if task.generative else MAX_ROWS)
    timed_examples = [examples[index] for index in range(row_count)]
    features = [] if task.generative else [
        feature for example_features in random_features(task, tokenizer, timed_examples, seed)
        for feature in example_features]
    timings_by_predictor: list[list[float]] = [[] for _ in predictors]
    for round_number in range(rounds + 1):
        for timings, predictor in zip(timings_by_predictor, predictors, strict=True):
            start = time.perf_counter()
            if task.generative:
                deque(predictor.predict(timed_examples), maxlen=0)
            else:
                deque(predictor.runtime.outputs(features), maxlen=0)
            if round_number:  # the first round warms up
                timings.append(1000 * (time.perf_counter() - start) / len(timed_examples))
    return [statistics.median(timings) for timings in timings_by_predictor]
