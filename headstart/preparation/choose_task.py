"""Which task a file is for: the named one, the one whose columns were named, or the one that recognises it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from headstart import tasks
from headstart.contract import Detection, Task
from headstart.data.table import Table
from headstart.errors import UserError


def find_task(table: Table, name: str | None, columns: Mapping[str, str]) -> tuple[type[Task[Any]], Detection | None,
                                                                                   str]:
    """The task of a file, how its columns were recognised, and why in words; raises UserError."""
    sample = table.sample()
    if name is not None:
        task = tasks.find(name)
        check_columns(task, columns)
        return task, task.detect(sample), "you chose it"
    if columns:
        fitting = [task for task in tasks.usable()[0] if set(columns) <= {field.name for field in task.fields}]
        if len(fitting) == 1:
            task = tasks.find(fitting[0].name)
            return task, task.detect(sample), f"it is the task with {', '.join('--' + name for name in columns)}"
    task, detection = tasks.detect(sample, table.path, columns)
    return task, detection, detection.reason


def check_columns(task: type[Task[Any]], columns: Mapping[str, str]) -> None:
    """Refuse a column flag that the task does not know."""
    field_names = {field.name for field in task.fields}
    if unknown := sorted(set(columns) - field_names):
        raise UserError(f"{task.name} has no --{unknown[0]}; it has "
                        f"{', '.join('--' + name for name in sorted(field_names))}.",
                        fix="Name the columns with those.")
