"""Whether what scales a model's outputs goes into its last layer when it is saved."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headstart.contract import Task

if TYPE_CHECKING:
    from headstart.models.model import Model


def folds_scale(model: Model, task: Task[Any], dtype: str) -> bool:
    """Whether the scale of outputs goes into the last layer. A temperature stays out of rounded weights: rounded anew,
    they might give other answers.
    """
    return model.can_fold and (dtype == "fp32" or task.temperature == 1)
