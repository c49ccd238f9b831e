"""Binary cross-entropy of each token by itself: was it replaced?

    loss = -Σ_t (y_t · log σ(logit_t) + (1 - y_t) · log(1 - σ(logit_t)))

The discriminator's loss of ELECTRA (Clark et al. 2020, section 2).

| input | shape | what it is |
|---|---|---|
| logits | (T, 1) | of each token |
| targets | (T,) | 1 or 0; -100 where there is none (special tokens) |
"""

from __future__ import annotations

import torch
from torch import Tensor

from headstart.contract import Batch
from headstart.contract.losses import TokenBinaryCrossEntropy
from headstart.training.losses import TargetLoss
from headstart.training.objectives.divergence import binary_divergence
from headstart.training.objectives.objective import NO_TARGET


class TokenBinaryCrossEntropyLoss(TargetLoss[TokenBinaryCrossEntropy]):
    """Yes or no at each token."""

    def losses(self, logits: Tensor, targets: Tensor, batch: Batch) -> Tensor:
        """(T, 1), (T,) -> (T,), 0 where there is no target."""
        present = targets != NO_TARGET
        losses = torch.nn.functional.binary_cross_entropy_with_logits(logits[:, 0], targets.clamp(min=0).float(),
                                                                      reduction="none")
        return torch.where(present, losses, torch.zeros_like(losses))

    def divergence(self, student: Tensor, teacher: Tensor, batch: Batch, temperature: float) -> Tensor:
        """(T, 1), (T, 1) -> (T,)."""
        return binary_divergence(student, teacher, temperature)
