"""How long models take for the same rows, measured in turns so that whatever else the machine does hits them alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from headstart.contract import Example, Task
from headstart.prediction.predict import answer, by_length, drawn_features, write_chunk

if TYPE_CHECKING:
    from headstart.models.model import Model

ROWS, WRITTEN = 512, 16  # of a split, at most; texts that are written take longer


def milliseconds(task: Task[Any], models: Sequence[Model], examples: Sequence[Example], *, batch_tokens: int, seed: int,
                 rounds: int = 5) -> list[float]:
    """The median milliseconds an example of each model, all on the same rows and batches; making features is left out.

    Packed where the family packs, as predictions are. A text that is written is timed with its features.
    """
    chosen = [examples[place] for place in range(min(len(examples), WRITTEN if task.writes else ROWS))]
    surprise = task.head().loss == "vocabulary"
    features = [] if task.writes else [one for held in drawn_features(task, models[0], chosen, seed) for one in held]
    batches = [[features[place] for place in batch] for batch in by_length(features, batch_tokens)]
    found: list[list[float]] = [[] for _ in models]
    for turn in range(rounds + 1):
        for held, model in zip(found, models, strict=True):
            begun = time.perf_counter()
            if task.writes:
                write_chunk(task, model, chosen)
            for batch in batches:
                answer(model, batch, surprise=surprise)
            if turn:  # the first pays for things that are made once
                held.append(1000 * (time.perf_counter() - begun) / len(chosen))
    return [statistics.median(held) for held in found]
