"""What a run was asked to do; settings.toml holds all of it, and alone repeats the run."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from headstart import settings
from headstart.errors import Exit, UserError, nearest
from headstart.runs.folder import toml


@dataclass(frozen=True)
class Request:
    """Files, task, model, seed, columns and settings of one run."""

    train: str
    dev: str | None = None
    test: str | None = None
    task: str | None = None
    model: str | None = None
    from_scratch: str | None = None  # a config, in the place of weights
    preset: str | None = None
    index: str | None = None  # that the rows were mined from
    teacher: str | None = None  # a trained model that a smaller one learns from
    teacher_sum: str | None = None  # the checksum of its weights
    seed: int = 0
    device: str = "auto"
    strict: bool = False
    allow_pickle: bool = False
    columns: Mapping[str, str] = field(default_factory=dict)
    data: settings.Data = field(default_factory=settings.Data)
    training: settings.Training = field(default_factory=settings.Training)
    adapter: settings.Adapter = field(default_factory=settings.Adapter)
    evaluation: settings.Evaluation = field(default_factory=settings.Evaluation)
    generation: settings.Generation = field(default_factory=settings.Generation)
    steering: settings.Steering = field(default_factory=settings.Steering)
    mining: settings.Mining = field(default_factory=settings.Mining)
    distil: settings.Distil = field(default_factory=settings.Distil)
    task_settings: Mapping[str, Any] = field(default_factory=dict)  # as given; the task's own dataclass checks them

    def toml(self) -> str:
        """settings.toml: every setting as used."""
        own = {name: getattr(self, name) for name in OWN}
        return toml({"run": own, "columns": self.columns, "data": vars(self.data), "training": vars(self.training),
                     "adapter": vars(self.adapter), "evaluation": vars(self.evaluation),
                     "generation": vars(self.generation), "steering": vars(self.steering), "distil": vars(self.distil),
                     "mining": vars(self.mining), "task": self.task_settings})


OWN = ("train", "dev", "test", "task", "model", "from_scratch", "preset", "index", "teacher", "teacher_sum", "seed", "device", "strict",
       "allow_pickle")


def request(own: Mapping[str, Any], columns: Mapping[str, str], values: Mapping[str, Any]) -> Request:
    """A checked request from {"train": …}, column names and {"training.epochs": 3}; raises UserError (2, 78)."""
    if unknown := sorted(set(own) - set(OWN)):
        raise UserError(f"There is no run.{unknown[0]}.", fix=f"Known are {', '.join(OWN)}.", exit=Exit.SETTINGS)
    if not own.get("train"):
        raise UserError("No training data was named.", fix="For example: headstart finetune reviews.csv")
    task_values = {key.removeprefix("task."): value for key, value in values.items() if key.startswith("task.")}
    rest = {key: value for key, value in values.items() if not key.startswith("task.")}
    groups = settings.build(rest, settings.RUN_GROUPS)
    kept = {name: value for name, value in own.items() if value is not None}
    for name in ("train", "dev", "test", "from_scratch", "index", "teacher"):
        if name in kept:
            kept[name] = full_path(str(kept[name]))
    if not isinstance(kept.get("seed", 0), int) or isinstance(kept.get("seed", 0), bool) or kept.get("seed", 0) < 0:
        raise UserError(f"run.seed takes a whole number from 0, but it is {kept['seed']!r}.", exit=Exit.SETTINGS)
    return Request(**kept, columns=dict(columns), task_settings=task_values, **groups)


def full_path(path: str) -> str:
    """An absolute path for what is on this disk, so that settings.toml works from any folder; else as given."""
    return str(Path(path).resolve()) if path != "-" and Path(path).exists() else path


def from_file(path: Path, more: Mapping[str, Any] | None = None) -> tuple[dict[str, Any], dict[str, str], dict[str, Any]]:
    """run.*, columns.* and the settings of a settings file, later ones (`more`) on top."""
    values = settings.load(path) | dict(more or {})
    own = {key.removeprefix("run."): value for key, value in values.items() if key.startswith("run.")}
    columns = {key.removeprefix("columns."): str(value) for key, value in values.items() if key.startswith("columns.")}
    rest = {key: value for key, value in values.items() if not key.startswith(("run.", "columns."))}
    return own, columns, rest


def task_settings(holder: type, values: Mapping[str, Any]) -> Any:
    """The task's own settings, checked; raises UserError (78)."""
    known = {line.key.removeprefix("task."): line for line in settings.lines("task", holder)}
    for name in values:
        if name not in known:
            near = nearest(name, known)
            advice = f"Did you mean task.{near}?" if near else f"It has {', '.join('task.' + key for key in known)}."
            raise UserError(f"This task has no setting task.{name}.", fix=advice, exit=Exit.SETTINGS)
    return holder(**{name: settings.parse(known[name], value) for name, value in values.items()})


def resolved(request: Request, **changes: Any) -> Request:
    """The request with what was chosen for it (task, columns, learning rate …)."""
    return dataclasses.replace(request, **changes)
