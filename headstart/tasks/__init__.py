"""The tasks; the folder is the registry: `text_classification.py` is the task "text-classification", and so is a folder
with a `task.py`. Other packages add tasks by entry points of the group `headstart.tasks`.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import inspect
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from headstart import extensions
from headstart.contract import Column, Detection, Task
from headstart.errors import UserError, nearest

NEAR_CONFIDENCE = 0.005  # tasks whose confidences differ by less are asked about
MAX_OPTIONS = 12  # commands that are listed


def names() -> list[str]:
    """The names of all tasks, those of other packages too, in alphabetical order."""
    return sorted({*builtin_names(), *extensions.names("tasks")})


def builtin_names() -> list[str]:
    """The names of headstart's own tasks, in alphabetical order."""
    return list(folder_names())


@functools.cache
def folder_names() -> tuple[str, ...]:
    """The tasks of this folder, which is looked at once: every flag and every row of help asks for them."""
    folder = Path(__file__).parent
    modules = [path.stem for path in folder.glob("*.py") if path.stem != "__init__"]
    modules += [path.parent.name for path in folder.glob("*/task.py")]
    return tuple(sorted(module.replace("_", "-") for module in modules))


def module_name(name: str) -> str:
    """The module of this task: a file of the folder, or task.py of a folder in it."""
    stem = name.replace("-", "_")
    folder = Path(__file__).parent / stem
    return f"headstart.tasks.{stem}.task" if folder.is_dir() else f"headstart.tasks.{stem}"


def find(name: str) -> type[Task[Any]]:
    """`find("text-classification")` is the one Task in `text_classification.py`.

    Raises UserError (2, 69) when there is none, when two packages add it, or when it cannot be imported.
    """
    if name not in names():
        suggestion = nearest(name, names())
        advice = f"Did you mean {suggestion}?" if suggestion else f"The tasks are {', '.join(names())}."
        raise UserError(f"There is no task {name!r}.", fix=advice)
    is_builtin = name in builtin_names()
    extension = extensions.find("tasks", name, builtin=module_name(name) if is_builtin else "")
    return builtin_task(name) if extension is None else load_extension(extension)


def load_extension(extension: extensions.Extension) -> type[Task[Any]]:
    """The task of another package; raises UserError (69)."""
    task = extension.load()
    if not (inspect.isclass(task) and issubclass(task, Task)):
        raise extension.unusable(f"is {task!r:.60}, a subclass of headstart.contract.Task was expected")
    if inspect.isabstract(task):
        raise extension.unusable(f"does not define {', '.join(sorted(task.__abstractmethods__))}")
    if task.name != extension.name:
        raise extension.unusable(f"calls itself {task.name!r}; both names must be the same")
    return task


def usable() -> tuple[list[type[Task[Any]]], list[UserError]]:
    """Every task in alphabetical order; and why tasks that other packages add cannot be used."""
    tasks, errors = [], []
    for name in names():
        try:
            tasks.append(find(name))
        except UserError as error:
            errors.append(error)
            if name in builtin_names():
                tasks.append(builtin_task(name))
    return tasks, errors


def builtin_task(name: str) -> type[Task[Any]]:
    """The one Task in the file of this name."""
    module = importlib.import_module(module_name(name))
    task_classes = [member for member in vars(module).values()
                    if inspect.isclass(member) and issubclass(member, Task) and member.__module__ == module.__name__]
    assert len(task_classes) == 1, f"{module.__name__} must define exactly one Task"
    return task_classes[0]


def undecided(path: str, matches: Sequence[tuple[type[Task[Any]], Detection]]) -> UserError:
    """The question which task and columns are meant, with the command for each answer."""
    options = [f"headstart finetune {shlex.quote(path)} --task {task.name} "
               + " ".join(f"--{field} {shlex.quote(column)}" for field, column in choice.items())
               for task, detection in matches for choice in detection.choices]
    subject = "Several tasks fit" if len(matches) > 1 else "Several choices fit"
    unlisted = [f"… and {len(options) - MAX_OPTIONS} more"] if len(options) > MAX_OPTIONS else []
    return UserError(f"{subject} the columns of {path} equally well.",
                     fix="Choose one:\n  " + "\n  ".join([*options[:MAX_OPTIONS], *unlisted]))


def readings(columns: Sequence[Column], named_columns: Mapping[str, str]) -> tuple[
        list[tuple[type[Task[Any]], Detection]], list[UserError]]:
    """Every task that recognises these columns, the surest first; and why tasks of other packages cannot be used."""
    tasks, errors = usable()
    matches = [(task, detection.with_named(named_columns)) for task in tasks
               if set(named_columns) <= {field.name for field in task.fields}
               and (detection := task.detect(columns)) is not None]
    return sorted(matches, key=lambda match: -match[1].confidence), errors


def detect(columns: Sequence[Column], path: str,
           named_columns: Mapping[str, str] | None = None) -> tuple[type[Task[Any]], Detection]:
    """The task that these columns are for, with the reason; raises UserError when none or several fit equally.

    `named_columns` are those of fields that the user gave. A task of another package that cannot be used is not
    considered, and the reason says so.
    """
    matches, errors = readings(columns, named_columns or {})
    notes = "".join(f"; not considered: {error.message}" for error in errors)
    if not matches:
        column_names = ", ".join(column.name for column in columns)
        raise UserError(
            f"No task fits the columns of {path}; they are: {column_names}{notes}.",
            fix="Name the columns, for example --task text-classification --text COLUMN --label COLUMN.")
    task, detection = matches[0]
    near_matches = [match for match in matches[1:] if detection.confidence - match[1].confidence < NEAR_CONFIDENCE]
    if detection.alternatives or near_matches:
        raise undecided(path, [(task, detection), *near_matches])
    return find(task.name), dataclasses.replace(detection, reason=detection.reason + notes)
