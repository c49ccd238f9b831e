"""Multiple choice with an auxiliary language-modelling loss on the right choice's tokens (Radford et al. 2018, eq. 5).

N features (a choice each), T tokens of all, A tokens of right choices, W width, V pieces of the vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from headstart.contract import Batch
    from headstart.models.model import Model

IGNORED = -100  # a position without a target


def losses(model: Model, batch: Batch, lm_weight: float,
           choice_loss: Callable[[Tensor, Tensor, Batch], Tensor]) -> Tensor:
    """Each feature's loss (N,): of the choice, and `lm_weight` times the mean over its tokens that have a target
    "next_token".

    Features weigh 1 / choices; the tokens of a row count once, whatever the number of choices.
    """
    head = model.info.family.heads[model.head]
    assert head.lm_head is not None, "only a model with both heads has this loss"
    states, borders = model.states(batch)
    device = states.device
    logits = head.outputs["logits"].apply(model.module,
                                          states.index_select(0, model.pooling_positions(batch, "last"))).float()
    choice_losses = choice_loss(logits, torch.from_numpy(batch.targets["label"]).to(device), batch)
    targets = torch.from_numpy(batch.targets["next_token"]).to(device)
    positions = (targets != IGNORED).nonzero()[:, 0]
    scores = head.lm_head(model.module, states.index_select(0, positions)).float()  # (A, V)
    token_losses = torch.nn.functional.cross_entropy(scores, targets[positions], reduction="none")
    feature_indices = torch.bucketize(positions, borders[:, 1].contiguous(), right=True)
    sums = token_losses.new_zeros(len(choice_losses)).index_add(0, feature_indices, token_losses)
    counts = token_losses.new_zeros(len(choice_losses)).index_add(0, feature_indices, torch.ones_like(token_losses))
    feature_weights = torch.from_numpy(batch.weights).to(device, torch.float32)
    return choice_losses + lm_weight * sums / counts.clamp(min=1) / feature_weights
