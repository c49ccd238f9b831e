"""Bare keywords of the Python interface: each is the one setting of that name that the run reads, or it is refused."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from headstart.errors import Exit, UserError, nearest
from headstart.settings.groups import GROUPS
from headstart.settings.values import list_settings

COMMON_SETTINGS: Mapping[str, str] = {  # what most people set: a bare keyword, and a flag of its own (--batch-size)
    "epochs": "training.epochs",
    "batch_size": "training.batch_size",
    "learning_rate": "training.learning_rate",
    "adapter": "training.adapter",
    "method": "training.method",
    "ship": "evaluation.ship",
    "folds": "evaluation.folds",
    "bad_rows": "data.bad_rows",
    "risk": "evaluation.risk",
    "sheet": "data.sheet",
}
# Flags of commands that train, though others read the rest of their group.
RUN_FLAGS = ("evaluation.folds", "evaluation.risk", "evaluation.ship")
READ_WHEN: Mapping[str, str] = {  # when a run reads a group that it does not always read
    "adapter": 'with adapter="lora"',
    "early_exit": "with early_exit=True",
    "generation": "for a task that generates text",
    "mining": "with an index",
    "distil": "by headstart.distil",
    "index": "by headstart.index",
    "steering": "by Model.generate",
    "zero_shot": "by headstart.load with labels=…",
    "model": "by a run or headstart.load",
    "task": "for another task",
}


def split_names(values: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Settings that say their group, as {"training.epochs": 3}, and the bare names that are left to resolve.

    `training={"epochs": 3}`, `**{"training.epochs": 3}` and the common `epochs=3` say it. Raises UserError (78) for a
    setting that is given twice.
    """
    qualified: dict[str, Any] = {}
    bare: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            add_settings(qualified, {f"{name}.{key}": group_value for key, group_value in value.items()})
        elif "." in name:
            add_settings(qualified, {name: value})
        elif name in COMMON_SETTINGS:
            add_settings(qualified, {COMMON_SETTINGS[name]: value})
        else:
            bare[name] = value
    return qualified, bare


def add_settings(qualified: dict[str, Any], additions: Mapping[str, Any]) -> None:
    """Add settings by their full keys; raises UserError (78) for one that is there already."""
    for key, value in additions.items():
        if key in qualified:
            raise UserError(f"{key} was given twice: {qualified[key]!r} and {value!r}.", fix="Give it once.",
                            exit=Exit.SETTINGS)
        qualified[key] = value


def resolve_names(bare: Mapping[str, Any], keys: Iterable[str], task_names: Collection[str] = ()) -> dict[str, Any]:
    """Bare names by their full keys, from the keys of all settings that this run reads.

    `task_names` are the names of every task's settings. Raises UserError (78) for a name that several settings have,
    or none.
    """
    keys = list(keys)
    resolved = {}
    for name, value in bare.items():
        candidates = [key for key in keys if key.split(".")[1] == name]
        if len(candidates) > 1:
            raise UserError(f"{name} may be {' or '.join(candidates)} here.", exit=Exit.SETTINGS,
                            fix=f"Say which: {' or '.join(f'**{{{key!r}: {value!r}}}' for key in candidates)}.")
        if not candidates:
            raise unknown_name(name, keys, task_names)
        resolved[candidates[0]] = value
    return resolved


def unknown_name(name: str, keys: Iterable[str], task_names: Collection[str]) -> UserError:
    """The error for a bare name that no setting of this run has."""
    elsewhere = [key for group, group_class in GROUPS.items() for key in group_keys(group, group_class)]
    elsewhere += [f"task.{task_name}" for task_name in sorted(task_names)]
    idle = [key for key in elsewhere if key.split(".")[1] == name]
    if idle:
        reasons = "; ".join(f"{key} is read only {READ_WHEN[key.split('.')[0]]}" for key in idle)
        return UserError(f"This run has no setting {name!r}: {reasons}.", fix="Leave it out.", exit=Exit.SETTINGS)
    if name in GROUPS or name == "task":
        return UserError(f"{name} is a group of settings; a dict of them was expected.", exit=Exit.SETTINGS,
                         fix=f'For example {name}={{"SETTING": VALUE}}.')
    suggestion = nearest(name, [*COMMON_SETTINGS, *(key.split(".")[1] for key in [*keys, *elsewhere])])
    return UserError(f"There is no setting {name!r}.", exit=Exit.SETTINGS,
                     fix=f"Did you mean {suggestion}?" if suggestion else "docs/reference.md lists every setting.")


def group_keys(group: str, group_class: type) -> list[str]:
    """The full keys of a group's settings."""
    return [setting.key for setting in list_settings(group, group_class)]
