"""Cross-entropy of an answer's first and last token among the tokens of a feature, the mean of both.

    loss = -1/2 · (log softmax(start logits)[start] + log softmax(end logits)[end])

Devlin et al. 2018, section 4.2. A feature without an answer points at its first token (section 4.3).

| input | shape | what it is |
|---|---|---|
| logits | (T, 2) | each token's, of being the first and the last |
| targets | (N, 2) | start and end, counted in the feature; below 0 where there is none |
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from headstart.contract import Batch
from headstart.contract.losses import SpanCrossEntropy
from headstart.models.loading.device import copy_to
from headstart.training.losses import TargetLoss
from headstart.training.objectives.divergence import grouped_divergence


class SpanCrossEntropyLoss(TargetLoss[SpanCrossEntropy]):
    """Where an answer starts and ends."""

    def losses(self, logits: Tensor, targets: Tensor, batch: Batch) -> Tensor:
        """(T, 2), (N, 2) -> (N,)."""
        present = np.arange(batch.lengths.max())[None, :] < batch.lengths[:, None]  # (N, L)
        places = copy_to(np.flatnonzero(present), logits.device)
        padded = logits.new_full((present.size, 2), float("-inf")).index_copy(0, places, logits)
        padded = padded.view(*present.shape, 2)
        log_probabilities = torch.log_softmax(padded, dim=1)
        target_logs = log_probabilities.gather(1, targets.clamp(min=0)[:, None, :])[:, 0]  # (N, 2)
        return torch.where(targets >= 0, -target_logs, 0.0).mean(dim=1)

    def divergence(self, student: Tensor, teacher: Tensor, batch: Batch, temperature: float) -> Tensor:
        """The mean of start and end: (T, 2), (T, 2) -> (N,)."""
        feature_ids = np.repeat(np.arange(len(batch.lengths)), batch.lengths)
        starts, ends = (grouped_divergence(student[:, column], teacher[:, column], feature_ids, len(batch.lengths),
                                           temperature)
                        for column in (0, 1))
        return (starts + ends) / 2
