"""Everything that one run was asked for; settings.toml holds it, and alone repeats the run."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from headstart.errors import Exit, UserError, nearest
from headstart.settings.groups import RUN_GROUPS, Adapter, Data, Distil, Evaluation, Generation, Mining, Training
from headstart.settings.values import build, list_settings, load, parse


@dataclass(frozen=True)
class RunSettings:
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
    data: Data = field(default_factory=Data)
    training: Training = field(default_factory=Training)
    adapter: Adapter = field(default_factory=Adapter)
    evaluation: Evaluation = field(default_factory=Evaluation)
    generation: Generation = field(default_factory=Generation)
    mining: Mining = field(default_factory=Mining)
    distil: Distil = field(default_factory=Distil)
    # as the user wrote them; the task's own dataclass checks them
    task_settings: Mapping[str, Any] = field(default_factory=dict)

    def groups(self) -> dict[str, dict[str, Any]]:
        """Every setting by group, as settings.toml has them: {"run": {"seed": 0}, "training": {"epochs": 3.0}}."""
        run_values = {name: getattr(self, name) for name in RUN_NAMES}
        groups = {name: dict(vars(getattr(self, name))) for name in RUN_GROUPS}
        return {"run": run_values, "columns": dict(self.columns), **groups, "task": dict(self.task_settings)}

    def toml(self, unread: Collection[str] = ()) -> str:
        """settings.toml: every setting as used; what is not set, or in `unread` ("adapter.rank"), is left out."""
        import tomli_w

        groups = {group: {name: value for name, value in values.items() if value is not None
                          and f"{group}.{name}" not in unread}
                  for group, values in self.groups().items()}
        return tomli_w.dumps({group: values for group, values in groups.items() if values})


RUN_NAMES = ("train", "dev", "test", "task", "model", "from_scratch", "preset", "index", "teacher", "teacher_sum",
             "seed", "device", "strict", "allow_pickle")


def run_settings(run_values: Mapping[str, Any], columns: Mapping[str, str], values: Mapping[str, Any]) -> RunSettings:
    """Checked settings of a run from {"train": …}, column names and {"training.epochs": 3}; raises UserError (2, 78).
    """
    if unknown := sorted(set(run_values) - set(RUN_NAMES)):
        raise UserError(f"There is no run.{unknown[0]}.", fix=f"Known are {', '.join(RUN_NAMES)}.", exit=Exit.SETTINGS)
    if not run_values.get("train"):
        raise UserError("No training data was named.", fix="For example: headstart finetune reviews.csv")
    task_settings = {key.removeprefix("task."): value for key, value in values.items() if key.startswith("task.")}
    groups = build({key: value for key, value in values.items() if not key.startswith("task.")}, RUN_GROUPS)
    fields = {name: value for name, value in run_values.items() if value is not None}
    for name in ("train", "dev", "test", "from_scratch", "index", "teacher"):
        if name in fields:
            fields[name] = full_path(str(fields[name]))
    seed = fields.get("seed", 0)
    if not isinstance(seed, int) or isinstance(seed, bool) or seed < 0:
        raise UserError(f"run.seed takes a whole number from 0, but it is {seed!r}.", exit=Exit.SETTINGS)
    return RunSettings(**fields, columns=dict(columns), task_settings=task_settings, **groups)


def full_path(path: str) -> str:
    """An absolute path for what is on this disk, so that settings.toml works from any folder; else the text as it is.
    """
    return str(Path(path).resolve()) if path != "-" and Path(path).exists() else path


def read_settings_file(path: Path, changes: Mapping[str, Any] | None = None) -> tuple[dict[str, Any], dict[str, str],
                                                                                      dict[str, Any]]:
    """run.*, columns.* and the settings of a settings file, `changes` on top; the arguments of `run_settings`."""
    values = load(path) | dict(changes or {})
    run_values = {key.removeprefix("run."): value for key, value in values.items() if key.startswith("run.")}
    columns = {key.removeprefix("columns."): str(value) for key, value in values.items() if key.startswith("columns.")}
    settings = {key: value for key, value in values.items() if not key.startswith(("run.", "columns."))}
    return run_values, columns, settings


def parse_task_settings(settings_class: type, values: Mapping[str, Any]) -> Any:
    """The task's own settings, checked; raises UserError (78)."""
    settings = {setting.key.removeprefix("task."): setting for setting in list_settings("task", settings_class)}
    for name in values:
        if name not in settings:
            suggestion = nearest(name, settings)
            advice = (f"Did you mean task.{suggestion}?" if suggestion
                      else f"It has {', '.join('task.' + key for key in settings)}.")
            raise UserError(f"This task has no setting task.{name}.", fix=advice, exit=Exit.SETTINGS)
    return settings_class(**{name: parse(settings[name], value) for name, value in values.items()})
