"""Binary cross-entropy of each label by itself, the mean over labels (binary relevance).

    loss = -1/C · Σ_c (y_c · log σ(logit_c) + (1 - y_c) · log(1 - σ(logit_c)))

As transformers computes it for "multi_label_classification" (torch's BCEWithLogitsLoss), row by row.

| input | shape | what it is |
|---|---|---|
| logits | (N, C) | of each label |
| targets | (N, C) | 1 where the label applies, else 0 |
"""

from __future__ import annotations

import torch
from torch import Tensor

from headstart.contract import Batch
from headstart.contract.losses import BinaryCrossEntropy
from headstart.training.losses import TargetLoss
from headstart.training.objectives.divergence import binary_divergence


class BinaryCrossEntropyLoss(TargetLoss[BinaryCrossEntropy]):
    """Whether each label applies."""

    def losses(self, logits: Tensor, targets: Tensor, batch: Batch) -> Tensor:
        """(N, C), (N, C) -> (N,)."""
        return torch.nn.functional.binary_cross_entropy_with_logits(logits, targets.float(),
                                                                    reduction="none").mean(dim=1)

    def divergence(self, student: Tensor, teacher: Tensor, batch: Batch, temperature: float) -> Tensor:
        """The mean over labels: (N, C), (N, C) -> (N,)."""
        return binary_divergence(student, teacher, temperature)
