"""How long models take for the same rows, measured in turns so that other load on the machine affects all of them
equally.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from headstart.contract import Example, Task
from headstart.prediction.predict import feature_outputs, generate_chunk, length_batches, random_features

if TYPE_CHECKING:
    from headstart.models.model import Model

MAX_ROWS, GENERATED_ROWS = 512, 16  # of a split, at most; generating texts takes longer


def median_milliseconds(task: Task[Any], models: Sequence[Model], examples: Sequence[Example], *, batch_tokens: int,
                        seed: int, rounds: int = 5) -> list[float]:
    """The median milliseconds an example of each model, all on the same rows and batches; making features is left out.

    Packed where the family packs, as predictions are. Generation is timed with its features.
    """
    timed_examples = [examples[index] for index in range(min(len(examples),
                                                             GENERATED_ROWS if task.generative else MAX_ROWS))]
    surprisals = task.head().loss == "vocabulary"
    features = [] if task.generative else [feature for example_features in random_features(
        task, models[0], timed_examples, seed)
                                           for feature in example_features]
    batches = [[features[position] for position in batch] for batch in length_batches(features, batch_tokens)]
    timings_by_model: list[list[float]] = [[] for _ in models]
    for round_number in range(rounds + 1):
        for timings, model in zip(timings_by_model, models, strict=True):
            start = time.perf_counter()
            if task.generative:
                generate_chunk(task, model, timed_examples)
            for batch in batches:
                feature_outputs(model, batch, surprisals=surprisals)
            if round_number:  # the first round warms up
                timings.append(1000 * (time.perf_counter() - start) / len(timed_examples))
    return [statistics.median(timings) for timings in timings_by_model]
