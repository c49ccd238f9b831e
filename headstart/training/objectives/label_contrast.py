"""Texts of one label near one another, and those of others apart, among all pairs of a step's texts.

    loss = Σ_i w_i · 1/2 · (mean over pairs of one label of (v_i·v_j - 1)² + mean over pairs of two of (v_i·v_j)²)

The cosine of two texts is to be 1 where their labels are the same and 0 where they are not (Tunstall et al. 2022,
section 3.1; Reimers and Gurevych 2019). Every pair of a step counts: a step of 16 texts has 120 pairs for 16 texts that
are read, where pairs by themselves read two texts each. Both kinds of pairs weigh the same, as many labels have few
pairs of one. A contrast by softmax (Khosla et al. 2020, equation 2) drives texts apart without end, and was worse by 7
points of macro F1 on TREC with 8 rows a label (69.5 and 77.5, 90 steps, MiniLM).

| input | shape | what it is |
|---|---|---|
| states | (N, W) | that the classification head reads, of all texts of a step |
| targets "label" | (N,) | the label of each; -100 where there is none |
| weights | w (N,) | of each feature; a pair weighs the product of both |
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from headstart.contract import Batch, Loss
from headstart.training.losses import JointLoss
from headstart.training.objectives.objective import NO_TARGET
from headstart.training.optimizer import Trainable


class LabelContrast(JointLoss[Loss]):
    """Texts of a step, compared by their labels, in the place of the task's own loss."""

    def vectors(self, model: Trainable, batch: Batch) -> Tensor:
        """A batch's vectors of length 1, (N, W)."""
        return torch.nn.functional.normalize(model.read_states(batch)["logits"].float(), dim=-1)

    def loss(self, vectors: Tensor, batches: Sequence[Batch]) -> Tensor:
        """The loss sum of some batches, whose vectors (N, W) are concatenated."""
        labels = torch.from_numpy(np.concatenate([batch.targets["label"] for batch in batches])).to(vectors.device)
        weights = torch.from_numpy(np.concatenate([batch.weights for batch in batches])).to(vectors.device,
                                                                                           torch.float32)
        has_label = labels != NO_TARGET
        pair_weights = (weights[:, None] * weights[None]).masked_fill(~(has_label[:, None] & has_label[None]), 0.0)
        pair_weights = pair_weights.fill_diagonal_(0.0)
        is_same = labels[:, None] == labels[None]
        squares = (vectors @ vectors.T - is_same.float()) ** 2
        means = [(squares * kind_weights).sum() / kind_weights.sum().clamp(min=1e-9)
                 for kind_weights in (pair_weights * is_same, pair_weights * ~is_same)]
        return weights[has_label].sum() * (means[0] + means[1]) / 2
