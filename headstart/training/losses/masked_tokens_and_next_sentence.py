"""The masked tokens of a pair of segments, and whether the second follows the first.

    loss = mean over the masked tokens of -log p(token) - log p(follows, or not)

Devlin et al. 2018, appendix A.2: the sum of the two mean likelihoods.

| input | shape | what it is |
|---|---|---|
| outputs "logits" | (A, V) | at each masked token |
| outputs "next" | (N, 2) | follows, does not |
| targets "label" | (A,) | the masked token |
| targets "next" | (N,) | 0 follows, 1 does not |
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from headstart.contract import Batch
from headstart.contract.losses import MaskedTokensAndNextSentence
from headstart.training.losses import FeatureLoss
from headstart.training.losses.cross_entropy import cross_entropy
from headstart.training.optimizer import Trainable


class MaskedTokensAndNextSentenceLoss(FeatureLoss[MaskedTokensAndNextSentence]):
    """Both tasks that BERT was pretrained on."""

    distilled_outputs: ClassVar[Mapping[str, str]] = {"logits": "label", "next": "next"}

    def losses(self, model: Trainable, batch: Batch) -> Tensor:
        """The loss of each pair, (N,)."""
        outputs = {name: output.float() for name, output in model.forward(batch).items()}
        targets = {name: torch.from_numpy(batch.targets[name]).to(outputs["logits"].device)
                   for name in ("label", "next")}
        losses = cross_entropy(outputs["logits"], targets["label"])
        label_counts = torch.from_numpy(batch.label_counts).to(losses.device)
        feature_ids = torch.repeat_interleave(torch.arange(len(label_counts), device=losses.device), label_counts)
        means = losses.new_zeros(len(label_counts)).index_add(0, feature_ids, losses) / label_counts.clamp(min=1)
        return means + cross_entropy(outputs["next"], targets["next"])

    def divergence_weights(self, batch: Batch, target: str) -> Any:
        """The mean over a feature's masked tokens, as in the loss."""
        if batch.target_levels[target] == "feature":
            return batch.weights
        return np.repeat(batch.weights / np.maximum(batch.label_counts, 1), batch.label_counts)
