"""Patience and threshold of a trained model, changed when it predicts."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from headstart.contract import Json, Task
from headstart.errors import Exit, UserError
from headstart.settings import build

if TYPE_CHECKING:
    from headstart.models.model import Model


def with_exit_settings(task: Task[Any], model: Model, values: Mapping[str, Json]) -> Model:
    """The model with another `early_exit.patience` or `early_exit.threshold`; raises UserError (78)."""
    first = next(iter(values))
    if model.early_exit is None:
        raise UserError(f"{first} was set, but {model.info.reference} has no heads after earlier layers: it reads "
                        "every text by all of them.",
                        fix="Leave it out, or train with --set training.early_exit=true.", exit=Exit.SETTINGS)
    if "early_exit.threshold" in values and task.head().loss.exit_answer != "number":
        raise UserError(f"early_exit.threshold was set, but answers of {task.name} are not numbers.",
                        fix="Leave it out.", exit=Exit.SETTINGS)
    if values.get("early_exit.pooling", model.early_exit.pooling) != model.early_exit.pooling:
        raise UserError(f"early_exit.pooling is {values['early_exit.pooling']!r}, but the heads of "
                        f"{model.info.reference} were trained on {model.early_exit.pooling!r}.",
                        fix="Leave it out, or train anew.", exit=Exit.SETTINGS)
    changed = build(dict(values))["early_exit"]
    names = [key.removeprefix("early_exit.") for key in values]
    changes = {name: getattr(changed, name) for name in names if getattr(changed, name) is not None}
    return dataclasses.replace(model, early_exit=dataclasses.replace(model.early_exit, **changes))
