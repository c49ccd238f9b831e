"""What training makes small: losses on the head's outputs, summed with weights.

Shapes: N features, C classes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from headstart.contract import Batch, HeadSpec
from headstart.settings import Training

if TYPE_CHECKING:
    from torch import Tensor

    from headstart.training.optimizer import Trainable

Objective = Callable[["Trainable", Batch], "Tensor"]
NONE = -100  # no target


def balanced(counts: Sequence[int]) -> list[float]:
    """Weight of each class so that all count the same: rows / (classes · rows of the class); 0 for an empty one."""
    rows = sum(counts)
    return [rows / (len(counts) * count) if count else 0.0 for count in counts]


def objective(spec: HeadSpec, settings: Training, counts: Sequence[int]) -> Objective:
    """The weighted loss sum of a batch: cross-entropy in fp32, with smoothing, class weights and focus as set."""
    import torch

    assert spec.loss == "cross-entropy", spec.loss
    weights = torch.tensor(balanced(counts)) if settings.class_weights == "balanced" else None

    def loss(model: Trainable, batch: Batch) -> Tensor:
        logits = model.forward(batch)["logits"].float()
        targets = torch.from_numpy(batch.targets["label"]).to(logits.device)
        rows = torch.from_numpy(batch.weights).to(logits.device, torch.float32)
        each = cross_entropy(logits, targets, smoothing=settings.label_smoothing, gamma=settings.focal_gamma,
                             weights=None if weights is None else weights.to(logits.device))
        return (each * rows).sum()

    return loss


def cross_entropy(logits: Tensor, targets: Tensor, *, smoothing: float = 0.0, gamma: float = 0.0,
                  weights: Tensor | None = None) -> Tensor:
    """Loss of each feature (N,), 0 where the target is -100: logits (N, C), targets (N,).

    smoothing e: (1 - e) of the target on the class, e spread over all (Szegedy et al. 2016, section 7).
    gamma: times (1 - p)^gamma (Lin et al. 2017, eq. 4). weights (C,): times the weight of the class.
    """
    import torch

    real = targets != NONE
    safe = torch.where(real, targets, 0)
    logs = torch.log_softmax(logits, dim=-1)  # (N, C)
    taken = logs.gather(1, safe[:, None])[:, 0]
    own = torch.ones_like(taken) if weights is None else weights[safe]
    each = -taken * own
    if gamma:
        each = each * (1 - taken.exp()) ** gamma
    if smoothing:
        spread = -(logs if weights is None else logs * weights).mean(dim=-1)
        each = (1 - smoothing) * each + smoothing * spread
    return torch.where(real, each, torch.zeros_like(each))


def total_weight(batches: Sequence[Batch], class_weights: Sequence[float] | None = None) -> float:
    """What an update's loss sum is divided by: the weights of all features with a target, over all micro-batches.

    With class weights, each counts by its class, as torch's own cross-entropy does.
    """
    import numpy as np

    total = 0.0
    for batch in batches:
        targets = batch.targets.get("label")
        if targets is None:
            total += float(batch.weights.sum())
            continue
        real = targets != NONE
        each = np.asarray(class_weights)[np.where(real, targets, 0)] if class_weights is not None else 1.0
        total += float((batch.weights * each * real).sum())
    return total
