"""How long a run trains and how fast: settings where there are some, else the recipe; told in two lines."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from headstart.contract import Task
from headstart.data.features import batches
from headstart.data.features.features import Features
from headstart.models.model import Model
from headstart.progress import Reporter
from headstart.runs import defaults
from headstart.runs.choose_model import sentence_encoder
from headstart.runs.variants.variant import Variant
from headstart.settings.run_settings import RunSettings


def choose_schedule(settings: RunSettings, task: Task[Any], model: Model, features: Features, variant: Variant,
                    reporter: Reporter, *, is_pair: bool) -> tuple[RunSettings, int]:
    """The settings with batch, learning rate and epochs, by rule where they were not set, and the number of steps."""
    training = defaults.with_back_off(settings.training)
    settings = dataclasses.replace(settings, training=training)
    if (variant_schedule := variant.schedule(settings, model, features, reporter)) is not None:
        return (dataclasses.replace(settings, training=variant_schedule.training), variant_schedule.total_steps)
    subject = defaults.Subject(task.name, features.examples, len(task.learned.labels), model.info.width, is_pair,
                               sentence_encoder(model.info) is not None)
    training = defaults.with_batch_size(training, subject)
    settings = dataclasses.replace(settings, training=training)
    learning_rate = defaults.choose_rate(training, subject)
    reporter.info(f"learning rate {learning_rate.value:g}: {learning_rate.reason}")
    training = dataclasses.replace(training, learning_rate=learning_rate.value)
    size = f"{training.batch_size}" if training.batch_tokens is None else f"{training.batch_tokens:,} tokens"
    if training.max_steps is not None and training.epochs is None:
        reporter.info(f"{training.max_steps:,} steps of {size}")
        return dataclasses.replace(settings, training=training), training.max_steps
    can_pack = variant.can_pack(model, settings)
    epochs = choose_epochs(task, model, features, settings, subject, can_pack=can_pack)
    total_steps = max(1, count_steps(task, model, features, settings, epochs.value, can_pack=can_pack))
    total_steps = min(training.max_steps or total_steps, total_steps)  # of both, the smaller number
    reporter.info(f"{total_steps:,} steps of {size}, {epochs.value:g} epoch{'' if epochs.value == 1 else 's'}: "
                  f"{epochs.reason}")
    return dataclasses.replace(settings, training=dataclasses.replace(training, epochs=epochs.value)), total_steps


def choose_epochs(task: Task[Any], model: Model, features: Features, settings: RunSettings, subject: defaults.Subject,
                  *, can_pack: bool) -> defaults.Choice:
    """Passes over the rows: the user's, else by rule."""
    if settings.training.epochs is not None:
        return defaults.Choice(settings.training.epochs, "you chose it")
    return defaults.epochs(subject, count_steps(task, model, features, settings, 1, can_pack=can_pack))


def count_steps(task: Task[Any], model: Model, features: Features, settings: RunSettings, epochs: float, *,
                can_pack: bool) -> int:
    """How many steps so many epochs have; by a budget of tokens, each epoch has its own number."""
    training = settings.training
    if training.batch_tokens is None:
        return round(epochs * -(-features.examples // training.examples_per_step))
    packed = batches.choose_batcher(training.batcher, can_pack=can_pack)[0] == "packed"
    counts = [len(batches.epoch_batches(model.kind, features, training, settings.seed, epoch, packed=packed,
                                        in_order=task.in_file_order(epoch)))
              for epoch in range(math.ceil(epochs))]
    return round(sum(counts[:int(epochs)]) + (epochs - int(epochs)) * counts[-1])
