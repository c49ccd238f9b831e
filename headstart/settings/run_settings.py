"""Everything that one run was asked for; settings.toml holds it, and alone repeats the run."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from headstart.errors import Exit, UserError, nearest
from headstart.settings.groups import (
    RUN_GROUPS,
    Adapter,
    Data,
    Distil,
    EarlyExit,
    Evaluation,
    Generation,
    Mining,
    Training,
    Weights,
)
from headstart.settings.values import build, is_unicode, list_settings, load, nested, parse, value_text


@dataclass(frozen=True)
class RunSettings:
    """Files, task, model, seed, columns and settings of one run."""

    train: str
    further_train: tuple[str, ...] | None = None  # more training files, whose rows are trained on together
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
    early_exit: EarlyExit = field(default_factory=EarlyExit)
    evaluation: Evaluation = field(default_factory=Evaluation)
    weights: Weights = field(default_factory=Weights)  # the group model.*
    generation: Generation = field(default_factory=Generation)
    mining: Mining = field(default_factory=Mining)
    distil: Distil = field(default_factory=Distil)
    # as the user wrote them; the task's own dataclass checks them
    task_settings: Mapping[str, Any] = field(default_factory=dict)

    def groups(self) -> dict[str, dict[str, Any]]:
        """Every setting by group, as settings.toml has them: {"run": {"seed": 0}, "training": {"epochs": 3.0}}."""
        run_values = {name: getattr(self, name) for name in RUN_NAMES}
        groups = {name: dict(vars(getattr(self, ATTRIBUTES.get(name, name)))) for name in RUN_GROUPS}
        return {"run": run_values, "columns": dict(self.columns), **groups, "task": dict(self.task_settings)}

    def by_key(self) -> dict[str, Any]:
        """Every setting, {"training.epochs": 3.0}; None for those that are not set."""
        return {f"{group}.{name}": value for group, values in self.groups().items() for name, value in values.items()}

    def flat(self, unread: Collection[str] = ()) -> dict[str, Any]:
        """Every setting as used, {"training.epochs": 3.0}; what is not set, or in `unread`, is left out."""
        return {key: value for key, value in self.by_key().items() if value is not None and key not in unread}

    def toml(self, unread: Collection[str] = ()) -> str:
        """settings.toml: every setting as used; what is not set, or in `unread` ("adapter.rank"), is left out."""
        return toml_text(self.flat(unread))


def toml_text(settings: Mapping[str, Any]) -> str:
    """Flat settings as the text of settings.toml."""
    import tomli_w

    return tomli_w.dumps(nested(settings))


ATTRIBUTES = {"model": "weights"}  # groups whose attribute has another name: run.model is the model itself
MAX_SEED = 2**32 - 1
RUN_NAMES = ("train", "further_train", "dev", "test", "task", "model", "from_scratch", "preset", "index", "teacher",
             "teacher_sum", "seed", "device", "strict", "allow_pickle")


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
    check_run_values(fields | {f"columns.{name}": column for name, column in columns.items()})
    for name in ("train", "dev", "test", "from_scratch", "index", "teacher"):
        if name in fields:
            fields[name] = full_path(str(fields[name]))
    if "further_train" in fields:
        fields["further_train"] = tuple(full_path(str(path)) for path in fields["further_train"]) or None
    groups = {ATTRIBUTES.get(name, name): group for name, group in groups.items()}
    return RunSettings(**fields, columns=dict(columns), task_settings=task_settings, **groups)


def check_run_values(values: Mapping[str, Any]) -> None:
    """Refuse values of run.* and columns.* that are no texts, switches or seeds (78), and texts that are no UTF-8 (2).
    """
    for name, value in values.items():
        key = name if "." in name else f"run.{name}"
        if name == "seed":
            is_right = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_SEED
            expected = f"a whole number from 0 to {MAX_SEED:,}"
        elif name == "further_train":
            is_right = isinstance(value, list | tuple) and all(isinstance(path, str) for path in value)
            expected = "a list of texts"
        else:
            is_switch = name in ("strict", "allow_pickle")
            is_right = isinstance(value, bool if is_switch else str)
            expected = "true or false" if is_switch else "text"
        if not is_right:
            raise UserError(f"{key} takes {expected}, but it is {value_text(value)}.", exit=Exit.SETTINGS)
        if isinstance(value, str) and not is_unicode(value):
            raise UserError(f"{key} is {value!r}, which is not UTF-8.", fix="Rename the file or folder.")


def full_path(path: str) -> str:
    """An absolute path for what is on this disk, so that settings.toml works from any folder; else the text as it is.
    """
    return str(Path(path).resolve()) if path != "-" and Path(path).exists() else path


def read_settings_file(path: Path, changes: Mapping[str, Any] | None = None) -> tuple[dict[str, Any], dict[str, str],
                                                                                      dict[str, Any]]:
    """run.*, columns.* and the settings of a settings file, `changes` on top; the arguments of `run_settings`."""
    return split_settings(load(path) | dict(changes or {}))


def split_settings(values: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str], dict[str, Any]]:
    """The values of a settings file as run.*, columns.* and the settings: the arguments of `run_settings`."""
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
