"""Early exit in a run: a head after each layer, trained together; texts are read only as deep as they need (PABEE)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from headstart.contract import Json, Task
from headstart.errors import Exit, UserError
from headstart.evaluation.depths import compare_depths
from headstart.evaluation.evaluate import SplitEvaluation
from headstart.models.exits import exit_heads
from headstart.models.exits.early_exit import ExitRule
from headstart.models.loading.catalogue import CATALOGUE
from headstart.models.model import Model
from headstart.prediction.torch_runtime import torch_predictor
from headstart.progress import Reporter
from headstart.runs.choose_model import choose_model
from headstart.runs.variants.variant import Variant
from headstart.settings import EarlyExit
from headstart.settings.run_settings import RunSettings
from headstart.training.losses import LossFunction
from headstart.training.objectives.early_exit import EarlyExitLoss
from headstart.training.objectives.objective import Objective

THRESHOLD_SHARE = 0.1  # of the training targets' standard deviation: what numbers of two layers may differ by


class EarlyExitVariant(Variant):
    """Trains a head after each layer, and predicts with as many layers as a text needs."""

    def __init__(self, *, pretrained: bool) -> None:
        self.pretrained = pretrained

    def model(self, settings: RunSettings, task: Task[Any], device: str,
              reporter: Reporter) -> tuple[Model, RunSettings]:
        """The model with its heads, and the settings with patience and threshold; raises UserError (2, 69, 78)."""
        check_task(task)
        model = choose_model(settings, task, device, reporter)
        check_family(model)
        exit_heads.attach(model.module, model.info.layers - 1)
        early_exit = resolved_rule(settings.early_exit, task, model.info.layers)
        model.early_exit = early_exit
        reporter.info(describe(early_exit, model.info.layers))
        return model, dataclasses.replace(settings, early_exit=early_exit)

    def objective(self, task_loss: LossFunction[Any], task: Task[Any], model: Model,
                  settings: RunSettings) -> Objective:
        """The task's loss at every layer."""
        return EarlyExitLoss(task_loss)

    def scores(self, task: Task[Any], model: Model, evaluated: SplitEvaluation, split: str, settings: RunSettings,
               reporter: Reporter) -> Mapping[str, Json]:
        """{"early_exit": layers used, speed-up, and the scores beside those of full depth}."""
        if evaluated.folds:
            reporter.info("full depth is not compared: the saved model has seen every row (headstart evaluate RUN FILE "
                          "compares on others)")
            return {}
        predictor = torch_predictor(task, model, batch_tokens=settings.evaluation.batch_tokens,
                                    precision=evaluated.precision)
        return compare_depths(predictor, evaluated, split=split, resamples=settings.evaluation.resamples,
                              seed=settings.seed, reporter=reporter)


def unfit_task(task: Task[Any]) -> str:
    """Why a task's texts cannot be answered early; "" where they can."""
    head = task.head()
    if head.kind == "sequence-classification" and head.loss.exit_answer:
        return ""
    return f"an answer of {task.name} is not one label or one number for a text, which two layers could agree on"


def check_task(task: Task[Any]) -> None:
    """Refuse a task without an answer that two layers could agree on; raises UserError (78)."""
    if reason := unfit_task(task):
        raise UserError(f"training.early_exit is true, but {reason}.",
                        fix="Leave it out: it goes with text-classification and regression. headstart distil makes "
                            "models of every task faster.", exit=Exit.SETTINGS)


def check_family(model: Model) -> None:
    """Refuse a model that is not run layer by layer, or has one layer alone; raises UserError (78)."""
    families = ", ".join(sorted(family.name for family in CATALOGUE if family.layer_rows))
    if not model.info.family.layer_rows:
        raise UserError(f"training.early_exit is true, but {model.info.reference} is of the family "
                        f"{model.info.family_name}, whose layers headstart runs only all together.",
                        fix=f"Choose a model of one of these: {families}.", exit=Exit.SETTINGS)
    if model.info.layers < 2:
        raise UserError(f"training.early_exit is true, but {model.info.reference} has a single layer.",
                        fix="Leave it out.", exit=Exit.SETTINGS)


def resolved_rule(early_exit: EarlyExit, task: Task[Any], layers: int) -> EarlyExit:
    """Patience and threshold, by rule where they were not set: half the layers (6 of 12, as in the paper), and a tenth
    of the training targets' standard deviation.
    """
    threshold = early_exit.threshold
    if task.head().loss.exit_answer == "number" and threshold is None:
        threshold = THRESHOLD_SHARE * float(task.learned.values.get("scale", 1.0))
    return dataclasses.replace(early_exit, patience=early_exit.patience or max(1, layers // 2), threshold=threshold)


def describe(early_exit: EarlyExit, layers: int) -> str:
    """What the run will do, in a line."""
    assert early_exit.patience is not None
    agreement = "" if early_exit.threshold is None else f" (they differ by less than {early_exit.threshold:.4g})"
    if ExitRule(early_exit.patience).never_fires(layers):
        return (f"early exit: a head after each of {layers} layers; with early_exit.patience={early_exit.patience} "
                "every text is still read by all of them")
    return (f"early exit: a head after each of {layers} layers; a text is answered once {early_exit.patience} in a row "
            f"agree with the layer before them{agreement}")
