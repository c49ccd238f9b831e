"""Everything before the first step: read, check, load, encode, choose; told as it happens."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from headstart.contract import Example, Task
from headstart.data.examples import Examples
from headstart.data.features import cache, lengths
from headstart.data.features.features import Features
from headstart.generation.task_settings import with_prompt_layout, with_source_prefix, with_target_length
from headstart.models.loading.default_model import default_model
from headstart.models.loading.device import choose_device
from headstart.models.model import Model
from headstart.models.precision_choice import PrecisionChoice, choose_evaluation_precision
from headstart.prediction.predictor import TaskPredictor, compose
from headstart.prediction.torch_runtime import torch_predictor
from headstart.preparation.dataset import Dataset, read_dataset
from headstart.preparation.first_row import first_row
from headstart.preparation.tokenization import check_tokenization
from headstart.progress import Reporter
from headstart.runs.fold_outputs import OutOfFold
from headstart.runs.methods import with_method
from headstart.runs.promised_risk import refuse_few_rows
from headstart.runs.schedule import choose_schedule
from headstart.runs.unread import refuse_sharding, refuse_unread
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
    out_of_fold: OutOfFold | None = None  # what the folds' models predicted, once all are trained

    @property
    def has_dev(self) -> bool:
        """Whether dev rows choose the checkpoint; in folds there are none."""
        return "dev" in self.dataset.splits

    def measured_rows(self) -> dict[str, Examples]:
        """The rows of each split that is scored; of folds, all training rows are dev."""
        splits = dict(self.dataset.splits)
        train = splits.pop("train")
        if self.dataset.folds is not None:
            splits = {"dev": train, **splits}
        return {name: rows for name, rows in splits.items() if len(rows)}

    def measured_examples(self, split: str) -> Sequence[Example]:
        """What a split is measured on: its rows, or what the task composes of them."""
        if split not in self.composed:
            self.composed[split] = compose(self.task, self.model.tokenizer, self.measured_rows()[split],
                                           self.settings.seed)
        return self.composed[split]

    def predictor(self) -> TaskPredictor:
        """What predicts with the model as it is now; it leaves the model in evaluation mode."""
        self.variant.before_predicting(self.task, self.model, self.features, self.settings)
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
    dataset = read_dataset(settings, reporter, errors_file)
    settings = with_method(with_folds(settings, dataset), dataset, device, reporter)
    if type(method_variant := choose_variant(settings)) is not type(variant):  # else it has read its teacher
        variant = method_variant
    dataset = variant.dataset(dataset, settings, reporter)
    refuse_few_rows(settings, dataset)
    model, settings = variant.model(settings, dataset.task, device, reporter)
    refuse_unread(settings, dataset.task, model)
    refuse_sharding(settings, dataset.task, model)
    check_tokenization(dataset, model.tokenizer, model.info.reference, reporter, strict=settings.strict)
    prepared = prepare_training(settings, dataset, model, variant, device, reporter)
    if settings.evaluation.precision != "auto":
        prepared.score_precision.tell(reporter, "scores: ")
    return prepared


def with_folds(settings: RunSettings, dataset: Dataset) -> RunSettings:
    """The settings with the number of folds that the rows are scored in; 0 where they are split."""
    count = 0 if dataset.folds is None else dataset.folds.count
    return dataclasses.replace(settings, evaluation=dataclasses.replace(settings.evaluation, folds=count))


def prepare_fold(run: Prepared, fold: int, reporter: Reporter) -> Prepared:
    """A training like the run's own, of a new model on the rows of all other folds; it has no dev rows.

    What was chosen by rule for the run (the rate, the epochs, the longest input) holds here too, and so does what the
    task learned of all rows: labels and scales.
    """
    dataset, settings = run.dataset, run.settings
    assert dataset.folds is not None, "there are no folds"
    rows = dataset.splits["train"].part(dataset.folds.train_places(fold))
    fold_dataset = dataclasses.replace(dataset, splits={"train": rows}, folds=None)
    variant = copy.copy(run.variant)  # what one notes of its training is not for another
    model, settings = variant.model(settings, dataset.task, settings.device, reporter)
    return prepare_training(settings, fold_dataset, model, variant, settings.device, reporter)


def prepare_training(settings: RunSettings, dataset: Dataset, model: Model, variant: Variant, device: str,
                     reporter: Reporter) -> Prepared:
    """The training rows as the model reads them, and the settings with what is chosen by their look."""
    train_rows = dataset.splits["train"]
    task = with_prompt_layout(with_source_prefix(dataset.task, model, reporter), model, reporter)
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
    settings, total_steps = choose_schedule(settings, task, model, features, variant, reporter,
                                            is_pair="pair" in dataset.readings["train"].columns)
    resolved = dataclasses.replace(
        settings, task=task.name, device=device,
        model=settings.model if settings.from_scratch is not None else settings.model or default_model(task).reference,
        columns={name: ",".join(columns) for name, columns in dataset.readings["train"].columns.items()},
        data=resolved_data(settings, dataset, length_choice.max_length), task_settings=vars(task.settings))
    return Prepared(resolved, dataset, task, model, features, length_choice, total_steps, variant)


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


def choose_max_length(task: Task[Any], rows: Examples, model: Model, settings: RunSettings) -> lengths.LengthChoice:
    """The longest input for what is trained on: rows, or the pairs and blocks that are composed of them."""
    limit, max_length = model.tokenizer.max_length, settings.data.max_length
    if task.reads_text_as == "blocks" and rows.is_running_text:
        return lengths.choose_block_length(limit, max_length)
    tokenizer = model.tokenizer.with_max_length(min(limit, max_length or limit))
    composed = task.compose(rows, tokenizer, Random(f"{settings.seed}:compose:lengths"))
    return lengths.measure_lengths(task, composed, model.tokenizer, limit=limit, requested=max_length,
                                   seed=settings.seed)
