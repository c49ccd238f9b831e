"""The loop's objective: a loss sum for each batch, and the weight that a step's sum is divided by."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from headstart.contract import Batch

if TYPE_CHECKING:
    from torch import Tensor

    from headstart.training.optimizer import Trainable

Objective = Callable[["Trainable", Batch], "Tensor"]
NO_TARGET = -100  # no target


def total_weight(batches: Sequence[Batch], class_weights: Sequence[float] | None = None) -> float:
    """What a step's loss sum is divided by: the weights of all features (or the number of tokens) with a target, over
    all micro-batches.

    With class weights, each target counts with its class's, as in torch's cross-entropy.
    """
    total = 0.0
    for batch in batches:
        targets = batch.targets.get("label")
        if targets is None or targets.ndim > 1 or targets.dtype.kind == "f" or "next" in batch.targets:
            total += float(batch.weights.sum())
            continue
        present = targets != NO_TARGET
        target_weights = np.asarray(class_weights)[np.where(present, targets, 0)] if class_weights is not None else 1.0
        feature_weights = batch.weights if batch.target_levels["label"] == "feature" else 1.0
        total += float((feature_weights * target_weights * present).sum())
    return max(total, 1e-9)  # a step without a single target changes no weight
