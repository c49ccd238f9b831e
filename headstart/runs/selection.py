"""Which score chooses the checkpoint and stops early: the task's first, another of its scores, or the loss on dev."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from headstart.contract import Batch, Example, Measures, Score
from headstart.data.features.batches import collate
from headstart.data.features.features import Features
from headstart.errors import Exit, UserError, nearest
from headstart.evaluation.evaluate import measure, scores
from headstart.training.objectives.objective import Objective
from headstart.training.precision import autocast

if TYPE_CHECKING:
    from headstart.runs.prepare import Prepared

LOSS = "loss"
NO_SCORE = ("", True)  # where there are no dev rows
# dev rows that are predicted before training, to learn which scores the task has and whether extra metrics can be used
TRIAL_ROWS = 2
WATCHED_ROWS = 32  # training rows that are predicted where there are no dev rows


def selection_score(prepared: Prepared) -> tuple[str, bool]:
    """The score that chooses and whether higher is better, `NO_SCORE` without dev rows; raises UserError (78) for a
    name that the task does not have.
    """
    if not prepared.has_dev:
        return NO_SCORE
    task, settings = prepared.task, prepared.settings
    name, higher_is_better = task.selection_score
    metric = settings.evaluation.metric
    if not task.extra_metrics and metric in ("", name, LOSS):
        return (LOSS, False) if metric == LOSS else (name, higher_is_better)
    examples = [*prepared.measured_examples("dev")[:TRIAL_ROWS]]
    predictions = prepared.predictor().predict(examples, seed=settings.seed)
    trial_scores = scores(task, measure(task, examples, predictions), None, resamples=0, seed=0)
    names = [*trial_scores, LOSS]
    if metric not in ("", *names):
        suggestion = nearest(metric, names)
        raise UserError(f"evaluation.metric is {metric!r}, but {task.name} has no such score; it has "
                        f"{', '.join(names)}.",
                        fix=f"Did you mean {suggestion}?" if suggestion else f"The default is {name}.",
                        exit=Exit.SETTINGS)
    if metric == LOSS:
        return LOSS, False
    return metric or name, trial_scores[metric or name].higher_is_better


def quick_scores(prepared: Prepared) -> tuple[Mapping[str, Score], Measures]:
    """Scores on dev without intervals, and the measures; without dev rows no scores, and measures of training rows,
    which show a collapse as well.
    """
    task = prepared.task
    examples = prepared.measured_examples("dev") if prepared.has_dev else watched_rows(prepared)
    measures = measure(task, examples, prepared.predictor().predict(examples, seed=prepared.settings.seed))
    return scores(task, measures, None, resamples=0, seed=0) if prepared.has_dev else {}, measures


def watched_rows(prepared: Prepared) -> Sequence[Example]:
    """Some training rows, evenly spread over the file, which may be sorted."""
    train = prepared.dataset.splits["train"]
    return [*train.part(np.unique(np.linspace(0, len(train) - 1, WATCHED_ROWS).astype(np.int64)))]


def dev_loss(prepared: Prepared, objective: Objective, total_weight: Callable[[Sequence[Batch]], float], *,
             packed: bool, precision: str) -> float:
    """The mean loss of the dev rows, weighted as in training, without dropout."""
    import torch

    task, model, settings = prepared.task, prepared.model, prepared.settings
    features = Features.encode(task, prepared.measured_examples("dev"), model.tokenizer, seed=settings.seed)
    order = np.argsort(-features.example_lengths, kind="stable")
    layout, size = model.layout(packed=packed), settings.training.examples_per_pass
    loss_sum = weight_sum = 0.0
    model.module.eval()
    for start in range(0, len(order), size):
        batch = collate(features.of_examples(order[start:start + size].tolist()), layout)
        with torch.no_grad(), autocast(precision, settings.device):
            loss_sum += float(objective(model, batch))
        weight_sum += total_weight([batch])
    return loss_sum / max(weight_sum, 1e-12)
