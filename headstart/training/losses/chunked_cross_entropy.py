"""Cross-entropy over a large vocabulary, some tokens at a time: scores of all pieces for all tokens never stand side by side.

A asked tokens, W width, V pieces. 8,192 tokens of SmolLM (49,152 pieces) would take 1.6 GB for the scores alone, and as
much again for their softmax and its gradient.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

CELLS = 2**24  # scores that are held at once


class VocabularyLoss(torch.autograd.Function):
    """states (A, W), targets (A,) -> sum of the losses; the gradient is worked out on the way, part by part."""

    @staticmethod
    def forward(ctx: Any, states: Tensor, targets: Tensor, apply: Callable[[Tensor], Tensor],
                loss: Callable[[Tensor, Tensor], Tensor], size: int, *weights: Tensor) -> Tensor:
        """The sum; keeps the gradients of states and weights, to be scaled."""
        wanted = any(ctx.needs_input_grad)
        total = torch.zeros((), dtype=torch.float32, device=states.device)
        to_states = torch.zeros_like(states) if wanted else None
        to_weights = [torch.zeros_like(one) for one in weights] if wanted else []
        for begin in range(0, len(states), size):
            part = states[begin:begin + size].detach().requires_grad_(wanted)
            with torch.set_grad_enabled(wanted):
                value = loss(apply(part).float(), targets[begin:begin + size]).sum()
            total += value.detach()
            if to_states is not None:
                own, *others = torch.autograd.grad(value, [part, *weights], allow_unused=True)
                to_states[begin:begin + size] = own
                for held, more in zip(to_weights, others, strict=True):
                    if more is not None:
                        held += more
        ctx.kept = to_states, to_weights
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upper: Tensor) -> tuple[Tensor | None, ...]:
        """The kept gradients, scaled."""
        to_states, to_weights = ctx.kept
        ctx.kept = None
        return (to_states.mul_(upper), None, None, None, None, *(held.mul_(upper) for held in to_weights))


def vocabulary_loss(states: Tensor, targets: Tensor, apply: Callable[[Tensor], Tensor], loss: Callable[[Tensor, Tensor], Tensor],
                    weights: list[Tensor]) -> Tensor:
    """The sum of `loss(apply(states), targets)`; `weights` are those that `apply` uses, its output's first."""
    pieces = max(len(weight) for weight in weights)
    moved = [weight for weight in weights if weight.requires_grad]  # beside an adapter none does
    apply_function: Any = VocabularyLoss.apply
    result: Tensor = apply_function(states, targets, apply, loss, max(64, CELLS // pieces), *moved)
    return result
