"""Which model a run saves: the trained one, or a frozen encoder with a logistic regression that is better on dev.

M dev rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from headstart.contract import Json, Task
from headstart.evaluation.compare import BaselineComparison, Fits, comparison_of
from headstart.evaluation.evaluate import SplitEvaluation
from headstart.prediction.torch_runtime import torch_predictor
from headstart.progress import Reporter
from headstart.runs.baselines import pending_comparisons
from headstart.runs.fit import Fit
from headstart.runs.fold_outputs import FoldOutputs, OutOfFold
from headstart.runs.prepare import Prepared
from headstart.runs.variants.few_rows import FewRows
from headstart.runs.variants.sentence_head import HeadInputs, head_inputs

FEWEST_ROWS = 20  # dev rows: of fewer, an interval says nothing
FROZEN, TRAINED = "frozen sentence encoder with logistic regression", "trained"


@dataclass(frozen=True)
class Shipped:
    """Which model is saved, and what was compared on dev: name -> the trained model's scores minus those, the first."""

    model: str
    reason: str
    score: str
    differences: Mapping[str, Json]
    replaces: bool = False  # whether it took the trained model's place

    def json(self) -> dict[str, Json]:
        """As in scores.json."""
        return {"model": self.model, "reason": self.reason, "split": "dev", "score": self.score,
                "differences": dict(self.differences)}


def choose_shipped(fit: Fit, dev: SplitEvaluation, task: Task[Any], fits: Fits) -> Shipped:
    """Compare the trained model on dev with what is cheaper; where the frozen encoder is better beyond chance, it takes
    the trained model's place in `fit.prepared`. `task` is the task before anything was tuned on dev; baselines that are
    fitted stay in `fits`.
    """
    prepared, score = fit.prepared, task.selection_score[0]
    if isinstance(prepared.variant, FewRows) and prepared.variant.method == "frozen":
        return Shipped(FROZEN, "training.method is frozen", score, {})
    if len(dev.predictions) < FEWEST_ROWS:
        return Shipped(TRAINED, f"{len(dev.predictions):,} dev rows are too few to tell which is better", score, {})
    fit.reporter.info(f"comparing the model on dev ({len(dev.predictions):,} rows) with what is cheaper")
    frozen = FrozenModel.make(prepared, task)
    comparisons = {FROZEN: frozen.compare(prepared, dev, task), **baseline_comparisons(fit, dev, task, fits)}
    differences = {name: comparison.difference[score] for name, comparison in comparisons.items()}
    sign = 1 if task.selection_score[1] else -1
    better = [name for name, difference in differences.items() if beats(difference, sign)]
    reason = reason_text(better, score)
    fit.reporter.info(f"the saved model is the one that was trained: {reason}" if FROZEN not in better else
                      f"the saved model is the {FROZEN}, not the one that was trained: {reason}")
    if FROZEN in better:
        frozen.take_place(prepared, task)
        return Shipped(FROZEN, reason, score, differences, replaces=True)
    return Shipped(TRAINED, reason, score, differences)


def beats(difference: Mapping[str, Any], sign: int) -> bool:
    """Whether the trained model's difference from another is below 0 beyond chance."""
    ends = difference["low"], difference["high"]
    return None not in ends and max(sign * end for end in ends) < 0


def reason_text(better: list[str], score: str) -> str:
    """Why, in words, with what cannot be saved as a folder of transformers."""
    unsaveable = [name for name in better if name != FROZEN]
    unsaved = (f"; {unsaveable[0]} is better than it, too, but is not a transformer, and a folder of transformers "
               "cannot hold it" if unsaveable else "")
    if FROZEN in better:
        return f"it has the better {score} on dev, beyond chance{unsaved}"
    return f"no cheaper model is better on dev beyond chance{unsaved}"


def baseline_comparisons(fit: Fit, dev: SplitEvaluation, task: Task[Any],
                         fits: Fits) -> dict[str, BaselineComparison]:
    """Each baseline that reads texts alone, on dev."""
    baselines = [baseline for baseline in task.baselines() if not baseline.needs_states and not baseline.needs_features]
    pending = pending_comparisons(fit, baselines, dev, "dev", task, fits)
    return {baseline.name: comparison() for baseline, comparison in pending}


@dataclass
class FrozenModel:
    """The encoder before training with a linear classifier, and its outputs for rows that are scored in folds."""

    variant: FewRows
    model: Any
    out_of_fold: OutOfFold | None

    @classmethod
    def make(cls, prepared: Prepared, task: Task[Any]) -> FrozenModel:
        """Fitted on the training rows; raises UserError for a model whose head cannot hold a linear classifier."""
        settings, variant = prepared.settings, FewRows("frozen")
        model, _ = variant.model(settings, task, settings.device, Reporter())
        model.tokenizer = prepared.model.tokenizer
        inputs = head_inputs(model, prepared.features, batch_tokens=settings.evaluation.batch_tokens)
        out_of_fold = None if prepared.dataset.folds is None else fold_outputs(prepared, inputs, task)
        variant.fit(task, model, inputs, settings)
        variant.finished.add(model.module)
        return cls(variant, model, out_of_fold)

    def compare(self, prepared: Prepared, dev: SplitEvaluation, task: Task[Any]) -> BaselineComparison:
        """Its scores on dev, and the trained model's minus them."""
        settings = prepared.settings
        predictor = torch_predictor(task, self.model, batch_tokens=settings.evaluation.batch_tokens,
                                    precision=dev.precision)
        predictions = (self.out_of_fold.predictions(task, dev.examples) if self.out_of_fold is not None else
                       list(predictor.predict(dev.examples, seed=settings.seed)))
        return comparison_of(task, FROZEN, predictions, dev, split="dev", resamples=settings.evaluation.resamples,
                             seed=settings.seed, seconds=0.0, size_bytes=0)

    def take_place(self, prepared: Prepared, task: Task[Any]) -> None:
        """Become the run's model."""
        prepared.model, prepared.variant, prepared.task = self.model, self.variant, task
        prepared.out_of_fold = self.out_of_fold


def fold_outputs(prepared: Prepared, inputs: HeadInputs, task: Task[Any]) -> OutOfFold:
    """The outputs of every training row, each of a classifier that was fitted without it: the encoder is the same."""
    features, folds, settings = prepared.features, prepared.dataset.folds, prepared.settings
    assert folds is not None, "there are no folds"
    classifier = partial(inputs.classifier, classes=len(task.learned.labels),
                         balanced=settings.training.class_weights == "balanced")
    parts = []
    for fold in range(folds.count):
        train_positions = [index for place in folds.train_places(fold).tolist()
                           for index in features.for_example(place)]
        weight, bias = classifier(np.asarray(train_positions))
        places = folds.held_out_places(fold).tolist()
        outputs = [[task.reduce(features[index], {"logits": inputs.inputs[index] @ weight.T + bias})
                    for index in features.for_example(place)] for place in places]
        parts.append(FoldOutputs(places, outputs, [[] for _ in places], 0, 0.0))
    return OutOfFold(parts)


def ship_words(ship: Mapping[str, Any] | None) -> str:
    """Which model a folder holds, for its card; "" where nothing was compared."""
    if ship is None or not ship["differences"]:
        return ""
    return f"This is the {'model that was trained' if ship['model'] == TRAINED else ship['model']}: {ship['reason']}."
