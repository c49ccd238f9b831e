"""Dropout that draws one byte for each number instead of a whole random word."""

from __future__ import annotations

import torch
from torch import Tensor, nn

LEVELS = 256


def cheap_dropout(states: Tensor, share: float) -> Tensor:
    """Drop about this share of the numbers and scale the others so that the mean stays.

    The share is rounded to 1/256 (0.1 becomes 26/256 = 0.1016) and the scale is exact for the rounded one. The bytes
    come from torch's own generator, which the training loop seeds for each update.
    """
    if share == 0.0:
        return states
    dropped = min(LEVELS - 1, max(1, round(share * LEVELS)))
    if states.device.type != "cpu":
        return nn.functional.dropout(states, dropped / LEVELS)
    numbers = states.numel()
    drawn = torch.empty((numbers + 7) // 8, dtype=torch.int64).random_(-(2**63), None)
    kept = (drawn.view(torch.uint8)[:numbers] >= dropped).view(states.shape)
    return states * (kept * (LEVELS / (LEVELS - dropped))).to(states.dtype)


class Dropout(nn.Module):
    """Takes the place of nn.Dropout; has no weights, so saved models do not change."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, states: Tensor) -> Tensor:
        """The states as they are in evaluation; dropped and scaled in training."""
        return cheap_dropout(states, self.p) if self.training else states

    def extra_repr(self) -> str:
        """As nn.Dropout shows itself."""
        return f"p={self.p}"


def replace_dropout(module: nn.Module) -> None:
    """Put the cheap dropout in the place of every nn.Dropout."""
    for name, child in list(module.named_children()):
        if type(child) is nn.Dropout:
            setattr(module, name, Dropout(child.p))
        else:
            replace_dropout(child)
