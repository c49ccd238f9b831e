"""The tasks; the folder is the registry: `text_classification.py` is the task "text-classification", and so is a folder
with a `task.py`."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from headstart.contract import Column, Detection, Task
from headstart.errors import UserError, nearest


def names() -> list[str]:
    """Every task there is, in alphabetical order."""
    here = Path(__file__).parent
    modules = [path.stem for path in here.glob("*.py") if path.stem != "__init__"]
    modules += [path.parent.name for path in here.glob("*/task.py")]
    return sorted(module.replace("_", "-") for module in modules)


def module_name(name: str) -> str:
    """The module that holds this task: a file of the folder, or task.py of a folder in it."""
    stem = name.replace("-", "_")
    folder = Path(__file__).parent / stem
    return f"headstart.tasks.{stem}.task" if folder.is_dir() else f"headstart.tasks.{stem}"


def find(name: str) -> type[Task[Any]]:
    """`find("text-classification")` is the one Task in `text_classification.py`; raises UserError for no task."""
    if name not in names():
        near = nearest(name, names())
        advice = f"Did you mean {near}?" if near else f"The tasks are {', '.join(names())}."
        raise UserError(f"There is no task {name!r}.", fix=advice)
    module = importlib.import_module(module_name(name))
    found = [held for held in vars(module).values()
             if inspect.isclass(held) and issubclass(held, Task) and held.__module__ == module.__name__]
    assert len(found) == 1, f"{module.__name__} must hold exactly one Task"
    return found[0]


def detect(columns: Sequence[Column], path: str) -> tuple[type[Task[Any]], Detection]:
    """The task that these columns are for, with the reason; raises UserError when none or several fit equally."""
    found: list[tuple[type[Task[Any]], Detection]] = []
    for name in names():
        task = find(name)
        detection = task.detect(columns)
        if detection is not None:
            found.append((task, detection))
    found.sort(key=lambda pair: -pair[1].confidence)
    if not found:
        have = ", ".join(column.name for column in columns)
        raise UserError(
            f"No task fits the columns of {path} by itself; they are: {have}.",
            fix="Name the columns, for example --task text-classification --text COLUMN --label COLUMN.")
    if len(found) > 1 and found[0][1].confidence == found[1][1].confidence:
        ways = "\n  ".join(f"--task {task.name}  ({detection.reason})" for task, detection in found)
        raise UserError(f"Several tasks fit the columns of {path} equally well.", fix=f"Choose one:\n  {ways}")
    return found[0]
