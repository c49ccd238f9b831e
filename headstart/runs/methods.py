"""Which way a classifier is trained where the user names none: by rows a label, labels and model, with the reason.

The numbers of the rule are measured: docs/few-rows.md.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal

from headstart.contract import Task
from headstart.data.features.features import Features
from headstart.errors import Exit, UserError
from headstart.models.heads.linear_head import HeadMisfit
from headstart.models.loading.default_model import default_model
from headstart.models.loading.model_info import ModelInfo, model_info
from headstart.preparation.dataset import Dataset
from headstart.progress import Reporter
from headstart.runs.choose_model import sentence_encoder, takes_mean
from headstart.runs.variants.few_rows import FewRows, other_ways, unfit_task
from headstart.runs.variants.sentence_head import head_inputs
from headstart.settings.run_settings import RunSettings

FEW = 70  # rows a label: from here on plain training; 64 is the most that was measured
FIRST_ROWS = 100  # that are looked at for a second text
SEPARABLE_ACCURACY = 0.85  # from here on the encoder as it is needs no training: there is little left to learn
PROBE_FOLDS, PROBE_TOKENS = 5, 128


@dataclass(frozen=True)
class Method:
    """A way of training and why; `reason` is empty where there was nothing to choose."""

    name: Literal["plain", "contrastive", "frozen"]
    reason: str = ""


def with_method(settings: RunSettings, dataset: Dataset, device: str, reporter: Reporter) -> RunSettings:
    """The settings with the way of training, by rule where none is named, which is told."""
    training = settings.training
    if training.method == "auto":
        method = choose_method(settings, dataset, device)
        if method.reason:
            learned = dataset.task.learned
            reporter.info(f"{sum(learned.counts):,} rows in {len(learned.labels):,} labels: {method.name}, because "
                          f"{method.reason} (--method)")
        training = dataclasses.replace(training, method=method.name)
    elif training.method != "plain" and sentence_encoder(info := chosen_model(settings, dataset.task)) is None:
        reporter.warning(f"{info.reference} was not trained to compare sentences, which training.method "
                         f"{training.method} builds on: a sentence encoder often does better"
                         + example_model(dataset.task))
    return with_ship(dataclasses.replace(settings, training=training), dataset)


def with_ship(settings: RunSettings, dataset: Dataset) -> RunSettings:
    """The settings with which model is saved; raises UserError (78) for `best` where there is nothing to compare."""
    training, evaluation = settings.training, settings.evaluation
    reasons = [unfit_task(dataset.task), *(words for _, words in other_ways(settings))]
    if evaluation.ship == "best" and (reason := next(filter(None, reasons), "")):
        raise UserError(f"evaluation.ship is best, but {reason}.", fix="Leave --ship out: the trained model is saved.",
                        exit=Exit.SETTINGS)
    ship = evaluation.ship if evaluation.ship != "auto" else "trained" if training.method == "plain" else "best"
    return dataclasses.replace(settings, evaluation=dataclasses.replace(evaluation, ship=ship))


def chosen_model(settings: RunSettings, task: Task[Any]) -> ModelInfo:
    """What the model of a run is; raises UserError (66, 69, 77)."""
    return model_info(settings.model or default_model(task).reference, allow_pickle=settings.allow_pickle)


def example_model(task: Task[Any]) -> str:
    """A sentence encoder's name at the end of a sentence; "" for a task that has none."""
    return f", for example --model {task.default_package}" if task.default_package else ""


def choose_method(settings: RunSettings, dataset: Dataset, device: str) -> Method:
    """The way of training for these rows and this model."""
    task, learned = dataset.task, dataset.task.learned
    if other_ways(settings) or settings.training.freeze or unfit_task(task) or len(learned.labels) < 2:
        return Method("plain")
    rows_a_label = sum(learned.counts) / len(learned.labels)
    if rows_a_label >= FEW:
        return Method("plain")
    info = chosen_model(settings, task)
    is_pair = any(getattr(example, "pair", None) is not None
                  for example in islice(dataset.splits["train"], FIRST_ROWS))
    if (encoder := sentence_encoder(info)) is None:
        return Method("plain", "" if is_pair else f"{info.reference} is no sentence encoder; on few rows one often "
                                                  f"does better{example_model(task)}")
    if encoder.pool != "first" and not takes_mean(info):
        return Method("plain", f"a layer of {info.family_name} cannot be the {encoder.pool} of its token states that "
                               "its sentence vectors are")
    if is_pair:
        return Method("plain", "each row is a pair of texts, which a sentence encoder was never trained to read as one")
    few = "1 row a label is few" if rows_a_label == 1 else f"{rows_a_label:.3g} rows a label are few"
    if min(learned.counts) < 2:
        return Method("frozen", f"{few}, and a label with a single row has no other to be compared with")
    try:
        share = frozen_share(settings, dataset, device)
    except HeadMisfit:
        return Method("plain", f"the classification head of {info.family_name} cannot hold a linear classifier of its "
                               "sentence vectors")
    words = f"{few}, and the encoder as it is tells {100 * share:.0f} % of them apart"
    if share >= SEPARABLE_ACCURACY:
        return Method("frozen", f"{words} (cross-validated): a linear classifier on its vectors is enough")
    return Method("contrastive", f"{words} (cross-validated): training on pairs of texts scores higher")


def frozen_share(settings: RunSettings, dataset: Dataset, device: str) -> float:
    """How often a logistic regression on the vectors of the untrained encoder is right on training rows that it was not
    fitted on, the mean over labels.
    """
    import numpy as np
    from sklearn.model_selection import StratifiedKFold

    task, rows = dataset.task, dataset.splits["train"]
    model, _ = FewRows("frozen").model(settings, task, device, Reporter())
    features = Features.encode(task, rows, model.tokenizer.with_max_length(
        min(PROBE_TOKENS, model.tokenizer.max_length)), seed=settings.seed)
    inputs = head_inputs(model, features, batch_tokens=settings.evaluation.batch_tokens)
    first = np.asarray(features.example_ends[:-1])  # of a text in windows, the first
    labels, rights = inputs.labels[first], np.zeros(len(first))
    folds = StratifiedKFold(min(PROBE_FOLDS, int(np.bincount(labels).min())), shuffle=True, random_state=settings.seed)
    for fitted, held_out in folds.split(first, labels):
        weight, bias = inputs.classifier(first[fitted], len(task.learned.labels), balanced=False)
        logits = inputs.inputs[first[held_out]] @ weight.T + bias
        rights[held_out] = logits.argmax(axis=1) == labels[held_out]
    return float(np.mean([rights[labels == label].mean() for label in np.unique(labels)]))
