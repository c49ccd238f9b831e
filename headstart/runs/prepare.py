"""Everything before the first step: read, check, load, encode, choose; told as it happens."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from headstart.contract import Example, Task
from headstart.data.examples import Examples
from headstart.data.features import batches, cache, lengths
from headstart.data.features.features import Features
from headstart.generation.task_settings import with_prompt_layout, with_source_prefix, with_target_length
from headstart.models.loading.default_model import default_model
from headstart.models.loading.device import choose_device
from headstart.models.model import Model
from headstart.models.precision import PrecisionChoice, choose_evaluation_precision
from headstart.prediction.predictor import TaskPredictor, compose
from headstart.prediction.torch_runtime import torch_predictor
from headstart.preparation.dataset import Dataset, read_dataset
from headstart.preparation.first_row import first_row
from headstart.preparation.tokenization import check_tokenization
from headstart.progress import Reporter
from headstart.runs import defaults
from headstart.runs.unread import refuse_unread
from headstart.runs.variants import choose_variant
from headstart.runs.variants.variant import Variant
from headstart.settings import Data
from headstart.settings.run_settings import RunSettings

BLOCK_TEXT = 240  # characters of the first block that are shown


@dataclass
class Prepared:
    """All that training needs."""

    settings: RunSettings  # with what was chosen filled in
    dataset: Dataset
    task: Task[Any]
    model: Model
    features: Features
    lengths: lengths.LengthChoice
    total_steps: int
    variant: Variant
    composed: dict[str, Sequence[Example]] = field(default_factory=dict)

    def measured_examples(self, split: str) -> Sequence[Example]:
        """What a split is measured on: its rows, or what the task composes of them."""
        if split not in self.composed:
            self.composed[split] = compose(self.task, self.model.tokenizer, self.dataset.splits[split],
                                           self.settings.seed)
        return self.composed[split]

    def predictor(self) -> TaskPredictor:
        """What predicts with the model as it is now; it leaves the model in evaluation mode."""
        return torch_predictor(self.task, self.model, batch_tokens=self.settings.evaluation.batch_tokens,
                               precision=self.score_precision.name)

    @property
    def score_precision(self) -> PrecisionChoice:
        """What the model is scored in."""
        return choose_evaluation_precision(self.settings.evaluation.precision, self.settings.device, scores=True)


def prepare(settings: RunSettings, reporter: Reporter, errors_file: Path | None) -> Prepared:
    """Everything before the first step; raises UserError and DataError."""
    device, variant = choose_device(settings.device), choose_variant(settings)
    settings = variant.resolve(settings, device, reporter)
    dataset = variant.dataset(read_dataset(settings, reporter, errors_file), settings, reporter)
    task, train_rows = dataset.task, dataset.splits["train"]
    model, settings = variant.model(settings, task, device, reporter)
    refuse_unread(settings, task, model)
    check_tokenization(dataset, model.tokenizer, model.info.reference, reporter, strict=settings.strict)
    task = with_prompt_layout(with_source_prefix(task, model, reporter), model, reporter)
    length_choice = choose_max_length(task, train_rows, model, settings)
    reporter.info(length_choice.reason)
    model.tokenizer = model.tokenizer.with_max_length(length_choice.max_length)
    dataset.first_row = first_row(task, train_rows, model.tokenizer, model.info.reference, settings.seed)
    features = cache.encode(task, train_rows, model.tokenizer, seed=settings.seed, workers=settings.data.workers,
                            folder=settings.data.cache, warn=reporter.warning)
    if train_rows.is_running_text:
        reporter.info(describe_first_block(features, model))
    else:
        reporter.info(dataset.first_row.line_words())
    task = with_target_length(task, model, features, settings.generation, reporter)
    settings, total_steps = choose_schedule(settings, task, model, features, variant, reporter)
    resolved = dataclasses.replace(
        settings, task=task.name, device=device,
        model=settings.model if settings.from_scratch is not None else settings.model or default_model(task).reference,
        columns={name: ",".join(columns) for name, columns in dataset.readings["train"].columns.items()},
        data=resolved_data(settings, dataset, length_choice.max_length), task_settings=vars(task.settings))
    prepared = Prepared(resolved, dataset, task, model, features, length_choice, total_steps, variant)
    if settings.evaluation.precision != "auto":
        prepared.score_precision.tell(reporter, "scores: ")
    return prepared


def resolved_data(settings: RunSettings, dataset: Dataset, max_length: int) -> Data:
    """The settings of the data with what was chosen by their look."""
    choice = dataset.readings["train"].table.rows_choice
    return dataclasses.replace(settings.data, max_length=max_length,
                               rows=settings.data.rows if choice is None else choice.rows)


def describe_first_block(features: Features, model: Model) -> str:
    """The first block of a running text as the model reads it, in a line."""
    text = " ".join(model.tokenizer.hf_tokenizer.decode(list(features[0].ids)).split())
    excerpt = text if len(text) <= BLOCK_TEXT else f"{text[:2 * BLOCK_TEXT // 3]} … {text[-BLOCK_TEXT // 3:]}"
    return f"the first of {features.examples:,} blocks ({len(features[0]):,} tokens): {excerpt}"


def choose_schedule(settings: RunSettings, task: Task[Any], model: Model, features: Features, variant: Variant,
                    reporter: Reporter) -> tuple[RunSettings, int]:
    """The settings with learning rate and epochs, by rule where they were not set, and the number of steps."""
    training = settings.training
    learning_rate = defaults.learning_rate(training, model.info.width)
    epochs = defaults.epochs(training, features.examples, len(task.learned.labels))
    can_pack = variant.can_pack(model, settings)
    only_steps = training.max_steps is not None and training.epochs is None
    total_steps = training.max_steps or 0
    if not only_steps:  # of both, the smaller number
        epoch_steps = max(1, count_steps(task, model, features, settings, epochs.value, can_pack=can_pack))
        total_steps = min(total_steps or epoch_steps, epoch_steps)
    reporter.info(f"learning rate {learning_rate.value:g}: {learning_rate.reason}")
    size = training.batch_size if training.batch_tokens is None else f"{training.batch_tokens:,} tokens"
    reporter.info(f"{total_steps:,} steps of {size}" + ("" if only_steps else f", {epochs.value:g} epochs: "
                                                                              f"{epochs.reason}"))
    scheduled = dataclasses.replace(training, learning_rate=learning_rate.value,
                                    epochs=None if only_steps else epochs.value)
    return dataclasses.replace(settings, training=scheduled), total_steps


def count_steps(task: Task[Any], model: Model, features: Features, settings: RunSettings, epochs: float, *,
                can_pack: bool) -> int:
    """How many steps so many epochs have; by a budget of tokens, each epoch has its own number."""
    training = settings.training
    if training.batch_tokens is None:
        return round(epochs * -(-features.examples // training.batch_size))
    packed = batches.choose_batcher(training.batcher, can_pack=can_pack)[0] == "packed"
    counts = [len(batches.epoch_batches(model.kind, features, training, settings.seed, epoch, packed=packed,
                                        in_order=task.in_file_order(epoch)))
              for epoch in range(math.ceil(epochs))]
    return round(sum(counts[:int(epochs)]) + (epochs - int(epochs)) * counts[-1])


def choose_max_length(task: Task[Any], rows: Examples, model: Model, settings: RunSettings) -> lengths.LengthChoice:
    """The longest input for what is trained on: rows, or the pairs and blocks that are composed of them."""
    limit, max_length = model.tokenizer.max_length, settings.data.max_length
    if task.reads_text_as == "blocks" and rows.is_running_text:
        return lengths.choose_block_length(limit, max_length)
    tokenizer = model.tokenizer.with_max_length(min(limit, max_length or limit))
    composed = task.compose(rows, tokenizer, Random(f"{settings.seed}:compose:lengths"))
    return lengths.measure_lengths(task, composed, model.tokenizer, limit=limit, requested=max_length,
                                   seed=settings.seed)
