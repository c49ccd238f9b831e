"""Squared error of a number.

    loss = (output - target)²

As transformers computes it for "regression" (torch's MSELoss), row by row.

| input | shape | what it is |
|---|---|---|
| logits | (N, 1) | the number that the head gives |
| targets | (N,) | the number of the row, at the scale that the task learned |
"""

from __future__ import annotations

from torch import Tensor

from headstart.contract import Batch
from headstart.contract.losses import SquaredError
from headstart.training.losses import TargetLoss


class SquaredErrorLoss(TargetLoss[SquaredError]):
    """A number for each feature."""

    def losses(self, logits: Tensor, targets: Tensor, batch: Batch) -> Tensor:
        """(N, 1), (N,) -> (N,)."""
        return (logits[:, 0] - targets.float()) ** 2

    def divergence(self, student: Tensor, teacher: Tensor, batch: Batch, temperature: float) -> Tensor:
        """The squared difference of two numbers, at any temperature: (N, 1), (N, 1) -> (N,)."""
        return (student - teacher)[:, 0] ** 2
