"""The span head of XLNet and XLM: likely starts, for each of them likely ends, and whether there is an answer at all.

Yang et al. 2019, section 3.3 and the code published with it. N features, T tokens of all, L tokens of the longest
feature, W width, beams of K starts and E ends (the config's start_n_top and end_n_top).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from headstart.contract import Batch


class SpanHeadInputs:
    """The module with the head's layers, a batch's states, one row a feature, and the head's other inputs.

    `states` (T, W) are those of all tokens, `borders` (N, 2) start and end of each feature; `reads_last` says whether
    the last token of a feature, instead of the first, stands for it.
    """

    def __init__(self, head: Any, config: Any, states: Tensor, borders: Tensor, batch: Batch, *,
                 reads_last: bool) -> None:
        self.head = head
        sizes = borders[:, 1] - borders[:, 0]
        steps = torch.arange(int(sizes.max()), device=states.device)
        self.is_token = steps[None, :] < sizes[:, None]  # (N, L)
        self.states = states.new_zeros((*self.is_token.shape, states.shape[1]))
        self.states[self.is_token] = states
        outside = torch.ones_like(self.is_token, dtype=states.dtype)
        labelled_outside = batch.targets.get("outside", np.zeros(batch.tokens))
        outside[self.is_token] = torch.from_numpy(labelled_outside).to(states.device, states.dtype)
        self.outside = outside  # 1 where no answer is allowed
        self.pooled_positions = sizes - 1 if reads_last else torch.zeros_like(sizes)
        self.beam_sizes = min(config.start_n_top, len(steps)), min(config.end_n_top, len(steps))


def search(inputs: SpanHeadInputs) -> dict[str, Tensor]:
    """Outputs of each feature: starts (N, K) with log p, ends (N, K, E) with log p given the start, none (N,) a logit.

    logits (T, 2) are each token's scores of being the start, and the end of the likeliest start's answer; where no
    answer is allowed they are the feature's lowest.
    """
    start_count, end_count = inputs.beam_sizes
    rows, length, width = inputs.states.shape
    start_logits = inputs.head.start_logits(inputs.states, p_mask=inputs.outside).float()
    start_log_probabilities = torch.log_softmax(start_logits, dim=1)
    start_scores, start_indices = start_log_probabilities.topk(start_count, dim=1)  # (N, K)
    start_states = inputs.states.gather(1, start_indices[:, :, None].expand(-1, -1, width))  # (N, K, W)
    states = inputs.states[:, :, None].expand(rows, length, start_count, width)
    start_states = start_states[:, None].expand(rows, length, start_count, width)
    end_logits = inputs.head.end_logits(states, start_states=start_states, p_mask=inputs.outside[:, :, None]).float()
    end_scores, end_indices = torch.log_softmax(end_logits, dim=1).transpose(1, 2).topk(end_count, dim=2)  # (N, K, E)
    mean_start = torch.einsum("nlw,nl->nw", inputs.states, start_log_probabilities.exp().to(inputs.states.dtype))
    class_logits = inputs.head.answer_class(inputs.states, start_states=mean_start,
                                            cls_index=inputs.pooled_positions).float()
    token_logits = torch.stack([start_logits, end_logits[:, :, 0]], dim=2)  # (N, L, 2)
    can_answer = (inputs.outside == 0)[:, :, None]
    lowest = torch.where(can_answer, token_logits, torch.inf).amin(dim=1, keepdim=True)
    token_logits = torch.where(can_answer, token_logits, torch.where(lowest.isinf(), 0.0, lowest))
    return {"logits": token_logits[inputs.is_token], "starts": start_indices, "start_scores": start_scores,
            "ends": end_indices, "end_scores": end_scores, "none": class_logits}
