"""Choosing and writing at once: the loss of the right choice, and that of the right one's own words (Radford et al. 2018, eq. 5).

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

NONE = -100  # no target


def losses(model: Model, batch: Batch, share: float, choose: Callable[[Tensor, Tensor, Batch], Tensor]) -> Tensor:
    """Each feature's loss (N,): of the choice, and `share` times the mean over its tokens where the target "words" says some.

    Features weigh 1 / choices; the words of a row count once, whatever the number of choices.
    """
    head = model.facts.row.heads[model.head]
    assert head.words is not None, "only a model with both heads is trained so"
    states, borders = model.states(batch)
    device = states.device
    logits = head.outputs["logits"].apply(model.module, states.index_select(0, model.read_places(batch, "last"))).float()
    each = choose(logits, torch.from_numpy(batch.targets["label"]).to(device), batch)
    targets = torch.from_numpy(batch.targets["words"]).to(device)
    places = (targets != NONE).nonzero()[:, 0]
    scores = head.words(model.module, states.index_select(0, places)).float()  # (A, V)
    surprise = torch.nn.functional.cross_entropy(scores, targets[places], reduction="none")
    owner = torch.bucketize(places, borders[:, 1].contiguous(), right=True)
    sums = surprise.new_zeros(len(each)).index_add(0, owner, surprise)
    counts = surprise.new_zeros(len(each)).index_add(0, owner, torch.ones_like(surprise))
    weights = torch.from_numpy(batch.weights).to(device, torch.float32)
    return each + share * sums / counts.clamp(min=1) / weights
