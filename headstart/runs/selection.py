"""Which score chooses the checkpoint and stops early: the task's first, another of its scores, or the loss on dev."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from headstart.data.features.batches import collate
from headstart.data.features.features import Features
from headstart.errors import Exit, UserError, nearest
from headstart.evaluation.evaluate import measure, scores
from headstart.prediction.predict import predict
from headstart.training.losses.losses import Objective, total_weight
from headstart.training.precision import autocast

if TYPE_CHECKING:
    from headstart.runs.prepare import Prepared

LOSS = "loss"
TRIAL_ROWS = 2  # dev rows that are predicted before training, to learn which scores the task has


def selection_score(prepared: Prepared) -> tuple[str, bool]:
    """The score that chooses and whether higher is better; raises UserError (78) for a name that the task does not
    have.
    """
    task, settings = prepared.task, prepared.settings
    name, higher_is_better = task.selection_score
    metric = settings.evaluation.metric
    if metric in ("", name):
        return name, higher_is_better
    if metric == LOSS:
        return LOSS, False
    examples = [*prepared.measured_examples("dev")[:TRIAL_ROWS]]
    predictions = predict(task, prepared.model, examples, batch_tokens=settings.evaluation.batch_tokens,
                          seed=settings.seed)
    measures = measure(task, examples, predictions)
    names = [*scores(task, measures, None, resamples=0, seed=0), LOSS]
    if metric not in names:
        suggestion = nearest(metric, names)
        raise UserError(f"evaluation.metric is {metric!r}, but {task.name} has no such score; it has "
                        f"{', '.join(names)}.",
                        fix=f"Did you mean {suggestion}?" if suggestion else f"The default is {name}.",
                        exit=Exit.SETTINGS)
    return metric, task.describe(metric, measures)[1]


def dev_loss(prepared: Prepared, objective: Objective, *, packed: bool, precision: str) -> float:
    """The mean loss of the dev rows, weighted as in training, without dropout."""
    import torch

    task, model, settings = prepared.task, prepared.model, prepared.settings
    features = Features.encode(task, prepared.measured_examples("dev"), model.tokenizer, seed=settings.seed)
    order = np.argsort(-features.example_lengths, kind="stable")
    layout, size = model.layout(packed=packed), settings.training.micro_batch_size or settings.training.batch_size
    loss_sum = weight_sum = 0.0
    model.module.eval()
    for start in range(0, len(order), size):
        batch = collate(features.of_examples(order[start:start + size].tolist()), layout)
        with torch.no_grad(), autocast(precision, settings.device):
            loss_sum += float(objective(model, batch))
        weight_sum += total_weight([batch])
    return loss_sum / max(weight_sum, 1e-12)
