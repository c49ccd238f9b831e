"""Losses; the folder is the registry: `cross_entropy.py` computes what tasks call `CrossEntropy`.

A file defines one class, of one of these forms:

| form | what it computes |
|---|---|
| TargetLoss | a loss for each target "label", from the logits |
| FeatureLoss | a loss for each feature, from the model's outputs or states |
| VocabularyLoss | a loss for each label position, from logits that are too many to keep |
| JointLoss | one number from the vectors of a whole step |

Shapes: N features, T tokens of all features, L tokens of the longest feature, A label positions, C classes, V pieces of
the vocabulary, W width of a state.
"""

from __future__ import annotations

import importlib
import inspect
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from torch import Tensor

from headstart.contract import Batch, Loss
from headstart.errors import UserError
from headstart.models.loading.device import copy_to
from headstart.settings import Training
from headstart.training.objectives.divergence import categorical_divergence
from headstart.training.optimizer import Trainable

SpecificLoss = TypeVar("SpecificLoss", bound=Loss)


class LossFunction(ABC, Generic[SpecificLoss]):
    """A loss as training calls it: `function(model, batch)` is the weighted loss sum of a batch, in fp32."""

    distilled_outputs: ClassVar[Mapping[str, str]] = {"logits": "label"}  # output that a teacher gives -> its target

    def __init__(self, spec: SpecificLoss, settings: Training, class_counts: Sequence[int]) -> None:
        """`class_counts` are the training rows of each class, () where there are none."""
        self.spec, self.settings, self.class_counts = spec, settings, class_counts

    @abstractmethod
    def __call__(self, model: Trainable, batch: Batch) -> Tensor:
        """The weighted loss sum of a batch."""

    def divergence(self, student: Tensor, teacher: Tensor, batch: Batch, temperature: float) -> Tensor:
        """How far a student's output is from its teacher's, for each target: T² · KL in the form of this loss, (N,)."""
        return categorical_divergence(student, teacher, temperature)

    def divergence_weights(self, batch: Batch, target: str) -> Any:
        """What each target of this name weighs in the divergence, as it does in the loss; None for 1."""
        return batch.weights if batch.target_levels[target] == "feature" else None


class TargetLoss(LossFunction[SpecificLoss]):
    """A loss for each target "label"; one of a feature weighs what its feature weighs."""

    @abstractmethod
    def losses(self, logits: Tensor, targets: Tensor, batch: Batch) -> Tensor:
        """The loss of each target."""

    def __call__(self, model: Trainable, batch: Batch) -> Tensor:
        """The sum of the losses, weighted."""
        logits = model.forward(batch)["logits"].float()
        targets = batch.targets["label"]
        if targets.dtype.kind == "f":
            targets = targets.astype("float32")  # before they go to the device: Apple's GPU has no float64
        losses = self.losses(logits, copy_to(targets, logits.device), batch)
        return weighted_sum(losses, batch) if batch.target_levels["label"] == "feature" else losses.sum()


class FeatureLoss(LossFunction[SpecificLoss]):
    """A loss for each feature that needs more than logits: several outputs, or states."""

    @abstractmethod
    def losses(self, model: Trainable, batch: Batch) -> Tensor:
        """The loss of each feature, (N,)."""

    def __call__(self, model: Trainable, batch: Batch) -> Tensor:
        """The sum of the losses, weighted."""
        return weighted_sum(self.losses(model, batch), batch)


class VocabularyLoss(LossFunction[SpecificLoss]):
    """A loss for each label position whose logits are computed some positions at a time."""

    @abstractmethod
    def losses(self, logits: Tensor, targets: Tensor) -> Tensor:
        """The loss of some positions: (A, V), (A,) -> (A,)."""


class JointLoss(LossFunction[SpecificLoss]):
    """One number from all vectors of a step, which several micro-batches may have encoded."""

    @abstractmethod
    def vectors(self, model: Trainable, batch: Batch) -> Tensor:
        """A batch's vectors, (N, W)."""

    @abstractmethod
    def loss(self, vectors: Tensor, batches: Sequence[Batch]) -> Tensor:
        """The loss sum of some batches, whose vectors (N, W) are concatenated."""

    def __call__(self, model: Trainable, batch: Batch) -> Tensor:
        """The loss sum of a step that is one batch."""
        return self.loss(self.vectors(model, batch), [batch])


def weighted_sum(losses: Tensor, batch: Batch) -> Tensor:
    """The sum of the features' losses (N,), each times its feature's weight."""
    return (losses * copy_to(batch.weights.astype("float32"), losses.device)).sum()


def names() -> list[str]:
    """The files of the folder, in alphabetical order."""
    return sorted(path.stem for path in Path(__file__).parent.glob("*.py") if path.stem != "__init__")


def find(loss_class: type[Loss]) -> type[LossFunction[Any]]:
    """`find(CrossEntropy)` is the one LossFunction in `cross_entropy.py`; raises UserError when there is none."""
    module_name = f"{loss_class.package}.{loss_class.file_name()}"
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if not f"{module_name}.".startswith(f"{error.name}."):  # the file is there, what it imports is not
            raise
        raise UserError(f"The loss {loss_class.__name__} is computed in the module {module_name}, but there is none.",
                        fix="Write it, with one class of a form in headstart/training/losses/__init__.py.") from None
    loss_functions = [member for member in vars(module).values()
                      if inspect.isclass(member) and issubclass(member, LossFunction)
                      and member.__module__ == module.__name__]
    assert len(loss_functions) == 1, f"{module_name} must define exactly one LossFunction"
    return loss_functions[0]


def build_loss(loss: Loss, settings: Training, class_counts: Sequence[int]) -> LossFunction[Any]:
    """What training calls for the loss of a head, with the settings that it reads."""
    return find(type(loss))(loss, settings, class_counts)
