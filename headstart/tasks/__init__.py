"""The tasks; the folder is the registry: `text_classification.py` is the task "text-classification"."""

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
    return sorted(path.stem.replace("_", "-") for path in Path(__file__).parent.glob("*.py") if path.stem[0] != "_")


def find(name: str) -> type[Task[Any]]:
    """`find("text-classification")` is the one Task in `text_classification.py`; raises UserError for no task."""
    if name not in names():
        near = nearest(name, names())
        advice = f"Did you mean {near}?" if near else f"The tasks are {', '.join(names())}."
        raise UserError(f"There is no task {name!r}.", fix=advice)
    module = importlib.import_module(f"headstart.tasks.{name.replace('-', '_')}")
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
