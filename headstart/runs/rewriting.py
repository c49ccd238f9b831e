"""What a task that writes learns of its model: what stands before a source, how long a text may get, how it is written."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from headstart.contract import Learned, Task
from headstart.data.features import Features
from headstart.models.model import Model
from headstart.runs.voice import Voice
from headstart.settings import Generation

COVER = 0.995  # share of the training targets that must fit whole
STEP = 8


def prefixed(task: Task[Any], model: Model, voice: Voice) -> Task[Any]:
    """The task with the text that the model's config wants before each source."""
    from headstart.tasks._source_target import AUTO, prefix_in

    if not task.writes or task.settings.prefix != AUTO:
        return task
    prefix = prefix_in(model.facts.config, task.name)
    if prefix:
        voice.say(f"before each source stands {prefix!r}, as the model's config names it")
    return task.knowing(Learned(task.known.labels, task.known.counts, dict(task.known.values) | {"prefix": prefix}))


def lengthened(task: Task[Any], features: Features, generation: Generation, voice: Voice) -> Task[Any]:
    """The task with the settings that its texts are written by: the user's, with a length that training targets need."""
    if not task.writes:
        return task
    chosen = generation
    cut = sum("target_cut" in features[place].info for place in range(len(features)))
    if cut:
        voice.say(f"{cut:,} of {len(features):,} training targets are longer than what is learned of them; their ends are left out")
    if generation.new_tokens == Generation().new_tokens:
        sizes = np.asarray([len(features[place].targets["label"].value) for place in range(len(features))])
        size = int(-(-int(np.quantile(sizes, COVER, method="higher")) // STEP) * STEP)
        chosen = dataclasses.replace(generation, new_tokens=size)
        voice.say(f"texts are written up to {size} tokens: {COVER:.1%} of the training targets fit "
                  f"(half have at most {int(np.median(sizes))})")
    changed = {name: value for name, value in vars(chosen).items() if value != getattr(Generation(), name)}
    return task.knowing(Learned(task.known.labels, task.known.counts, dict(task.known.values) | {"generation": changed}))
