"""The model of a run that names none: it follows the task and what is installed, never whether a network answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from headstart.contract import Task
from headstart.errors import UserError

PACKAGE = "pip:"


@dataclass(frozen=True)
class DefaultModel:
    """A task's default model here, and in words why it is this one and what else there is."""

    reference: str
    reason: str


def is_installed(package: str) -> bool:
    """Whether a Python package is installed here, whatever it holds."""
    import importlib.metadata  # not before it is asked for: it takes a while

    try:
        importlib.metadata.distribution(package)
    except (importlib.metadata.PackageNotFoundError, ValueError):
        return False
    return True


def default_model(task: type[Task[Any]] | Task[Any]) -> DefaultModel:
    """The model inside the task's Python package where that is installed, else its hub name; raises UserError (2) for a
    task that has no default.
    """
    package = task.default_package.removeprefix(PACKAGE)
    if package and is_installed(package):
        return DefaultModel(task.default_package, "the default of this task, because its package is installed"
                            + (f"; the other choice: --model {task.default_model}" if task.default_model else ""))
    if not task.default_model:
        raise UserError(f"{task.name} has no default model: which one is right depends on the data.",
                        fix="Name one: --model NAME (headstart models lists the families that can do it).")
    return DefaultModel(task.default_model, "the default of this task"
                        + (f"; the other choice: pip install {package}, a small model that needs no hub" if package
                           else ""))
