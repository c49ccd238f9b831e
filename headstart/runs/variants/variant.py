"""What a way of training may change in a run, and the plain way, which changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart.contract import Json, Task
from headstart.data.features.features import Features
from headstart.evaluation.evaluate import SplitEvaluation
from headstart.models.model import Model
from headstart.preparation.dataset import Dataset
from headstart.progress import Reporter
from headstart.runs.choose_model import choose_model
from headstart.settings import Training
from headstart.settings.run_settings import RunSettings
from headstart.training.losses import LossFunction
from headstart.training.objectives.objective import Objective

if TYPE_CHECKING:
    from headstart.contract import Ints


@dataclass(frozen=True)
class Schedule:
    """The settings of a training with what was chosen, and its number of steps."""

    training: Training
    total_steps: int


class Variant:
    """The plain way: the task's own loss moves the whole model. Other ways change one hook or more.

    The hooks are called in their order: `resolve`, `dataset`, `model`, `schedule`, `epoch_steps`, `objective`, whenever
    the model predicts `before_predicting`, then after the last step `finish`, `merge` and `scores`.
    """

    compares_texts = False  # whether its loss is one number from all texts of a step, which micro-batches encode twice
    pretrained = True  # whether states of the model before training say something (a baseline on them is fair)

    def resolve(self, settings: RunSettings, device: str, reporter: Reporter) -> RunSettings:
        """The settings with what this way decides; raises UserError for settings that do not go together."""
        return settings

    def dataset(self, dataset: Dataset, settings: RunSettings, reporter: Reporter) -> Dataset:
        """The rows as this way trains on them."""
        return dataset

    def model(self, settings: RunSettings, task: Task[Any], device: str,
              reporter: Reporter) -> tuple[Model, RunSettings]:
        """The model to train, and the settings with what follows from it."""
        return choose_model(settings, task, device, reporter), settings

    def can_pack(self, model: Model, settings: RunSettings) -> bool:
        """Whether several examples may stand in one row."""
        training = settings.training
        return model.can_pack_in_training(calls_layers=training.gradient_checkpointing or training.sharded)

    def schedule(self, settings: RunSettings, model: Model, features: Features,
                 reporter: Reporter) -> Schedule | None:
        """How long and how fast it trains, where it has a rule of its own; None for the common one."""
        return None

    def epoch_steps(self, features: Features, settings: RunSettings, epoch: int) -> list[Ints] | None:
        """The examples of each step of an epoch, as many steps in each, where it draws them itself; None for the common
        order.
        """
        return None

    def objective(self, task_loss: LossFunction[Any], task: Task[Any], model: Model,
                  settings: RunSettings) -> Objective:
        """What training minimises."""
        return task_loss

    def before_predicting(self, task: Task[Any], model: Model, features: Features, settings: RunSettings) -> None:
        """Make ready to predict with the weights as they are now; `features` are the training rows."""

    def finish(self, task: Task[Any], model: Model, features: Features, settings: RunSettings) -> None:
        """The same with the final weights."""

    def merge(self, task: Task[Any], model: Model, folder: Path, reporter: Reporter) -> None:
        """Make an ordinary model of what was trained, before it is evaluated; `folder` is the run's."""

    def scores(self, task: Task[Any], model: Model, evaluated: SplitEvaluation, split: str, settings: RunSettings,
               reporter: Reporter) -> Mapping[str, Json]:
        """What scores.json says more of this way."""
        return {}


class FromScratch(Variant):
    """All weights are initialised from the seed; states of such a model say nothing."""

    pretrained = False
