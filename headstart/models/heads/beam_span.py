"""The answer head of XLNet and XLM: likely starts, for each of them likely ends, and whether there is an answer at all.

Yang et al. 2019, section 3.3 and the code published with it. N features, T tokens of all, L tokens of the longest feature, W width,
K starts and E ends that are followed (the config's start_n_top and end_n_top).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from headstart.contract import Batch
    from headstart.models.model import Model

CLASS_SHARE = 0.5  # of the loss of "is there an answer", beside the mean of start and end


class Laid:
    """A batch's states a feature a row, with what the head reads beside them."""

    def __init__(self, model: Model, batch: Batch) -> None:
        row = model.facts.row
        beams = row.heads[model.head].beams
        assert beams is not None, "only a head of this kind is asked"
        self.part = beams(model.module)
        states, borders = model.states(batch)
        sizes = borders[:, 1] - borders[:, 0]
        steps = torch.arange(int(sizes.max()), device=states.device)
        self.real = steps[None, :] < sizes[:, None]  # (N, L)
        self.states = states.new_zeros((*self.real.shape, states.shape[1]))
        self.states[self.real] = states
        outside = torch.ones_like(self.real, dtype=states.dtype)
        held = batch.targets.get("outside", np.zeros(batch.tokens))
        outside[self.real] = torch.from_numpy(held).to(states.device, states.dtype)
        self.outside = outside  # 1 where no answer can be
        last = row.pooling(model.module.config) == "last"
        self.summary = sizes - 1 if last else torch.zeros_like(sizes)
        self.counts = min(model.module.config.start_n_top, len(steps)), min(model.module.config.end_n_top, len(steps))


def losses(model: Model, batch: Batch) -> Tensor:
    """Each feature's loss (N,): start and end given the true start (mean cross-entropy), and half of that of the answer class."""
    laid = Laid(model, batch)
    places = torch.from_numpy(batch.targets["label"]).to(laid.states.device)
    first = places[:, 0]
    start = laid.part.start_logits(laid.states, p_mask=laid.outside).float()
    end = laid.part.end_logits(laid.states, start_positions=first, p_mask=laid.outside).float()
    none = laid.part.answer_class(laid.states, start_positions=first, cls_index=laid.summary).float()
    each = [-torch.log_softmax(logits, dim=1).gather(1, places[:, side, None])[:, 0] for side, logits in enumerate((start, end))]
    impossible = (first == laid.summary).float()
    missing = torch.nn.functional.binary_cross_entropy_with_logits(none, impossible, reduction="none")
    return (each[0] + each[1]) / 2 + CLASS_SHARE * missing


def search(model: Model, batch: Batch) -> dict[str, Tensor]:
    """Outputs of each feature: starts (N, K) with log p, ends (N, K, E) with log p given the start, none (N,) a logit.

    logits (T, 2) are each token's scores of being the start, and the end of the likeliest start's answer; where no answer
    can be they are the feature's lowest.
    """
    laid = Laid(model, batch)
    starts, ends = laid.counts
    rows, length, width = laid.states.shape
    start = laid.part.start_logits(laid.states, p_mask=laid.outside).float()
    start_logs = torch.log_softmax(start, dim=1)
    start_best, start_at = start_logs.topk(starts, dim=1)  # (N, K)
    begun = laid.states.gather(1, start_at[:, :, None].expand(-1, -1, width))  # (N, K, W)
    wide = laid.states[:, :, None].expand(rows, length, starts, width)
    begun = begun[:, None].expand(rows, length, starts, width)
    end = laid.part.end_logits(wide, start_states=begun, p_mask=laid.outside[:, :, None]).float()
    end_best, end_at = torch.log_softmax(end, dim=1).transpose(1, 2).topk(ends, dim=2)  # (N, K, E)
    mean = torch.einsum("nlw,nl->nw", laid.states, start_logs.exp().to(laid.states.dtype))
    none = laid.part.answer_class(laid.states, start_states=mean, cls_index=laid.summary).float()
    shown = torch.stack([start, end[:, :, 0]], dim=2)  # (N, L, 2)
    allowed = (laid.outside == 0)[:, :, None]
    lowest = torch.where(allowed, shown, torch.inf).amin(dim=1, keepdim=True)
    shown = torch.where(allowed, shown, torch.where(lowest.isinf(), 0.0, lowest))
    return {"logits": shown[laid.real], "starts": start_at, "start_scores": start_best, "ends": end_at, "end_scores": end_best,
            "none": none}

