"""The start of an answer, its end given the start, and whether there is an answer at all.

    loss = -1/2 · (log p(start) + log p(end | start)) + 1/2 · binary cross-entropy of "there is no answer"

Yang et al. 2019 (XLNet), section 3.3, and the code published with it. A feature without an answer points at its pooled
token.

| input | shape | what it is |
|---|---|---|
| states | (N, L, W) | one row a feature |
| targets "label" | (N, 2) | start and end, counted in the feature |
| targets "outside" | (T,) | 1 where no answer is allowed (the question) |
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor

from headstart.contract import Batch
from headstart.contract.losses import BeamSpan
from headstart.training.losses import FeatureLoss
from headstart.training.optimizer import Trainable

if TYPE_CHECKING:
    from headstart.models.model import Model

CLASS_WEIGHT = 0.5  # of the loss of "is there an answer", added to the mean of start and end


class BeamSpanLoss(FeatureLoss[BeamSpan]):
    """Where an answer starts, where it then ends, whether there is one."""

    def losses(self, model: Trainable, batch: Batch) -> Tensor:
        """The loss of each feature, (N,)."""
        inputs = cast("Model", model).span_head_inputs(batch)
        spans = torch.from_numpy(batch.targets["label"]).to(inputs.states.device)
        starts = spans[:, 0]
        start_logits = inputs.head.start_logits(inputs.states, p_mask=inputs.outside).float()
        end_logits = inputs.head.end_logits(inputs.states, start_positions=starts, p_mask=inputs.outside).float()
        class_logits = inputs.head.answer_class(inputs.states, start_positions=starts,
                                                cls_index=inputs.pooled_positions).float()
        span_losses = [-torch.log_softmax(logits, dim=1).gather(1, spans[:, side, None])[:, 0]
                       for side, logits in enumerate((start_logits, end_logits))]
        is_unanswerable = (starts == inputs.pooled_positions).float()
        class_losses = torch.nn.functional.binary_cross_entropy_with_logits(class_logits, is_unanswerable,
                                                                            reduction="none")
        return (span_losses[0] + span_losses[1]) / 2 + CLASS_WEIGHT * class_losses
