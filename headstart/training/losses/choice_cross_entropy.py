"""Cross-entropy of the right choice among those of its row.

    loss = log Σ_g exp(logit_g) - logit_right,  g over the choices of the row

Devlin et al. 2018, section 4.4. Every choice of a row has the row's loss; features weigh 1 / choices.

| input | shape | what it is |
|---|---|---|
| logits | (N, 1) | one of each choice |
| targets | (N,) | 1 for the right choice, else 0 |
| batch.groups | (N,) | the row of each choice |
"""

from __future__ import annotations

import torch
from torch import Tensor

from headstart.contract import Batch
from headstart.contract.losses import ChoiceCrossEntropy
from headstart.training.losses import TargetLoss
from headstart.training.objectives.divergence import grouped_divergence


class ChoiceCrossEntropyLoss(TargetLoss[ChoiceCrossEntropy]):
    """The right choice of each row."""

    def losses(self, logits: Tensor, targets: Tensor, batch: Batch) -> Tensor:
        """(N, 1), (N,) -> (N,)."""
        return choice_losses(logits, targets, batch)

    def divergence(self, student: Tensor, teacher: Tensor, batch: Batch, temperature: float) -> Tensor:
        """(N, 1), (N, 1) -> (N,)."""
        losses = grouped_divergence(student[:, 0], teacher[:, 0], batch.groups, int(batch.groups.max()) + 1,
                                    temperature)
        return losses[torch.from_numpy(batch.groups)]


def choice_losses(logits: Tensor, targets: Tensor, batch: Batch) -> Tensor:
    """The loss of each row, given to all of its choices: (N, 1), (N,) -> (N,)."""
    group_ids = torch.from_numpy(batch.groups).to(logits.device)
    group_count = int(group_ids.max()) + 1
    scores = logits[:, 0]
    maxima = scores.new_full((group_count,), float("-inf")).scatter_reduce(0, group_ids, scores.detach(), "amax")
    sums = scores.new_zeros(group_count).index_add(0, group_ids, (scores - maxima[group_ids]).exp())
    correct_scores = scores.new_zeros(group_count).index_add(0, group_ids, scores * (targets == 1))
    return (sums.log() + maxima - correct_scores)[group_ids]
