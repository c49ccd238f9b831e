"""Cross-entropy of one class, softened, focused or weighted as the settings say.

    loss = -w_y · (1 - p_y)^γ · log p_y,  p = softmax(logits)
    with label smoothing e: (1 - e) · loss + e · mean over classes of -w_c · log p_c

| input | shape | what it is |
|---|---|---|
| logits | (N, C) | of each feature, token or label position |
| targets | (N,) | the class; -100 where there is none |
| training.label_smoothing | e | Szegedy et al. 2016, section 7 |
| training.focal_gamma | γ | Lin et al. 2017, equation 4 |
| training.class_weights | w (C,) | balanced: rows / (classes · rows of the class) |
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import torch
from torch import Tensor

from headstart.contract import Batch
from headstart.contract.losses import CrossEntropy
from headstart.training.losses import TargetLoss
from headstart.training.objectives.objective import NO_TARGET


class CrossEntropyLoss(TargetLoss[CrossEntropy]):
    """The class of each feature, token or label position."""

    @cached_property
    def class_weights(self) -> Tensor | None:
        """The weight of each class, (C,); None where all weigh 1."""
        if self.settings.class_weights != "balanced" or not self.class_counts:
            return None
        return torch.tensor(balanced_class_weights(self.class_counts))

    def losses(self, logits: Tensor, targets: Tensor, batch: Batch) -> Tensor:
        """(N, C), (N,) -> (N,)."""
        weights = None if self.class_weights is None else self.class_weights.to(logits.device)
        return cross_entropy(logits, targets, smoothing=self.settings.label_smoothing, gamma=self.settings.focal_gamma,
                             weights=weights)


def balanced_class_weights(counts: Sequence[int]) -> list[float]:
    """Class weights that balance the classes: rows / (classes · rows of the class); 0 for an empty class."""
    rows = sum(counts)
    return [rows / (len(counts) * count) if count else 0.0 for count in counts]


def cross_entropy(logits: Tensor, targets: Tensor, *, smoothing: float = 0.0, gamma: float = 0.0,
                  weights: Tensor | None = None) -> Tensor:
    """Loss of each feature (N,), 0 where the target is -100: logits (N, C), targets (N,).

    smoothing e: (1 - e) of the target on the class, e spread over all (Szegedy et al. 2016, section 7).
    gamma: times (1 - p)^gamma (Lin et al. 2017, eq. 4). weights (C,): times the weight of the class.
    """
    present = targets != NO_TARGET
    class_indices = torch.where(present, targets, 0)
    log_probabilities = torch.log_softmax(logits, dim=-1)  # (N, C)
    target_logs = log_probabilities.gather(1, class_indices[:, None])[:, 0]
    target_weights = torch.ones_like(target_logs) if weights is None else weights[class_indices]
    losses = -target_logs * target_weights
    if gamma:
        losses = losses * (1 - target_logs.exp()) ** gamma
    if smoothing:
        uniform_losses = -(log_probabilities if weights is None else log_probabilities * weights).mean(dim=-1)
        losses = (1 - smoothing) * losses + smoothing * uniform_losses
    return torch.where(present, losses, torch.zeros_like(losses))
