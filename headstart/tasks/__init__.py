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
    """The names of all tasks, in alphabetical order."""
    folder = Path(__file__).parent
    modules = [path.stem for path in folder.glob("*.py") if path.stem != "__init__"]
    modules += [path.parent.name for path in folder.glob("*/task.py")]
    return sorted(module.replace("_", "-") for module in modules)


def module_name(name: str) -> str:
    """The module of this task: a file of the folder, or task.py of a folder in it."""
    stem = name.replace("-", "_")
    folder = Path(__file__).parent / stem
    return f"headstart.tasks.{stem}.task" if folder.is_dir() else f"headstart.tasks.{stem}"


def find(name: str) -> type[Task[Any]]:
    """`find("text-classification")` is the one Task in `text_classification.py`; raises UserError when there is none.
    """
    if name not in names():
        suggestion = nearest(name, names())
        advice = f"Did you mean {suggestion}?" if suggestion else f"The tasks are {', '.join(names())}."
        raise UserError(f"There is no task {name!r}.", fix=advice)
    module = importlib.import_module(module_name(name))
    task_classes = [member for member in vars(module).values()
                    if inspect.isclass(member) and issubclass(member, Task) and member.__module__ == module.__name__]
    assert len(task_classes) == 1, f"{module.__name__} must define exactly one Task"
    return task_classes[0]


def detect(columns: Sequence[Column], path: str) -> tuple[type[Task[Any]], Detection]:
    """The task that these columns are for, with the reason; raises UserError when none or several fit equally."""
    matches: list[tuple[type[Task[Any]], Detection]] = []
    for name in names():
        task = find(name)
        detection = task.detect(columns)
        if detection is not None:
            matches.append((task, detection))
    matches.sort(key=lambda pair: -pair[1].confidence)
    if not matches:
        column_names = ", ".join(column.name for column in columns)
        raise UserError(
            f"No task fits the columns of {path}; they are: {column_names}.",
            fix="Name the columns, for example --task text-classification --text COLUMN --label COLUMN.")
    if len(matches) > 1 and matches[0][1].confidence == matches[1][1].confidence:
        options = "\n  ".join(f"--task {task.name}  ({detection.reason})" for task, detection in matches)
        raise UserError(f"Several tasks fit the columns of {path} equally well.", fix=f"Choose one:\n  {options}")
    return matches[0]
