"""The loss of a model with a head after each layer (Zhou et al. 2020, "BERT loses patience", equation 1).

    loss = sum over layers j of j · L_j / sum over layers j of j

L_j is the task's own loss of the head after layer j, from 1. Shapes: N features, C classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import Tensor

from headstart.contract import Batch
from headstart.models.exits.early_exit import run_layer
from headstart.models.exits.layer_rows import layer_rows
from headstart.training.losses import LossFunction

if TYPE_CHECKING:
    from headstart.models.model import Model


@dataclass(frozen=True)
class LogitsOfLayer:
    """What a task's loss sees of a model at one layer."""

    logits: Tensor

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """The logits of the head after that layer, (N, C)."""
        return {"logits": self.logits}


@dataclass(frozen=True)
class EarlyExitLoss:
    """The task's loss at every layer, the deeper the heavier."""

    task_loss: LossFunction[Any]

    def __call__(self, model: Any, batch: Batch) -> Tensor:
        """The weighted loss sum of a batch."""
        layers: list[Any] = [LogitsOfLayer(logits) for logits in all_logits(model, batch)]
        losses = [number * self.task_loss(layer, batch) for number, layer in enumerate(layers, start=1)]
        total: Tensor = sum(losses[1:], losses[0])
        return total / sum(range(1, len(losses) + 1))


def all_logits(model: Model, batch: Batch) -> list[Tensor]:
    """The logits after each layer, (N, C) each, from one pass through all of them."""
    rows = layer_rows(model, batch)
    return [run_layer(model, rows, number) for number in range(1, model.info.layers + 1)]
