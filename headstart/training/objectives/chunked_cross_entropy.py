"""Cross-entropy over a large vocabulary in chunks of tokens: the logits of all tokens are never in memory together.

A label positions, W width, V pieces of the vocabulary. 8,192 tokens of SmolLM (49,152 pieces) would take 1.6 GB for the
logits alone, and as much again for their softmax and its gradient.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

MAX_LOGITS = 2**24  # in memory at once
MAX_LOGITS_ON_GPU = 2**27  # where more memory is free, and each product has a price


class ChunkedLoss(torch.autograd.Function):
    """states (A, W), targets (A,) -> sum of the losses; the gradient is computed chunk by chunk in the forward pass."""

    @staticmethod
    def forward(ctx: Any, states: Tensor, targets: Tensor, apply_head: Callable[[Tensor], Tensor],
                loss_function: Callable[[Tensor, Tensor], Tensor], chunk_size: int, *weights: Tensor) -> Tensor:
        """The sum; saves the gradients of states and weights, to be scaled."""
        needs_gradient = any(ctx.needs_input_grad)
        total = torch.zeros((), dtype=torch.float32, device=states.device)
        state_gradients = torch.zeros_like(states) if needs_gradient else None
        weight_gradients = [torch.zeros_like(weight) for weight in weights] if needs_gradient else []
        for start in range(0, len(states), chunk_size):
            chunk = states[start:start + chunk_size].detach().requires_grad_(needs_gradient)
            with torch.set_grad_enabled(needs_gradient):
                chunk_loss = loss_function(apply_head(chunk).float(), targets[start:start + chunk_size]).sum()
            total += chunk_loss.detach()
            if state_gradients is not None:
                chunk_gradient, *gradients = torch.autograd.grad(chunk_loss, [chunk, *weights], allow_unused=True)
                state_gradients[start:start + chunk_size] = chunk_gradient
                for weight_gradient, gradient in zip(weight_gradients, gradients, strict=True):
                    if gradient is not None:
                        weight_gradient += gradient
        ctx.gradients = state_gradients, weight_gradients
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, output_gradient: Tensor) -> tuple[Tensor | None, ...]:
        """The saved gradients, scaled."""
        state_gradients, weight_gradients = ctx.gradients
        ctx.gradients = None
        scaled = (gradient.mul_(output_gradient) for gradient in weight_gradients)
        return (state_gradients.mul_(output_gradient), None, None, None, None, *scaled)


def chunked_loss(states: Tensor, targets: Tensor, apply_head: Callable[[Tensor], Tensor],
                 loss_function: Callable[[Tensor, Tensor], Tensor], weights: list[Tensor]) -> Tensor:
    """The sum of `loss_function(apply_head(states), targets)`; `weights` are those that `apply_head` uses, its output
    layer's first.
    """
    vocabulary_size = max(len(weight) for weight in weights)
    trained_weights = [weight for weight in weights if weight.requires_grad]  # none with an adapter
    autograd_apply: Any = ChunkedLoss.apply
    max_logits = MAX_LOGITS_ON_GPU if states.device.type == "cuda" else MAX_LOGITS
    chunk_size = max(64, max_logits // vocabulary_size)
    total: Tensor = autograd_apply(states, targets, apply_head, loss_function, chunk_size, *trained_weights)
    return total
