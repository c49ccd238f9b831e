"""`headstart tasks`: what it can be fine-tuned for."""

from __future__ import annotations

import argparse
import json
from typing import Any

from headstart import tasks
from headstart.cli import _flags
from headstart.contract import Task
from headstart.models.loading.default_model import default_model
from headstart.progress import print_error

SUMMARY = "list the tasks: columns, scores, default model"


def add(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    _flags.add_shared(parser, "--json")


def run(arguments: argparse.Namespace) -> int:
    """Print every task."""
    entries: list[dict[str, Any]] = []
    usable_tasks, errors = tasks.usable()
    for task in usable_tasks:
        columns = [field.name if field.required else f"[{field.name}]" for field in task.fields]
        entries.append({"task": task.name, "summary": task.summary, "columns": columns,
                        "first_score": task.selection_score[0],
                      "kinds": list(task.kinds), "default_model": default_reference(task) or None})
    for error in errors:
        print_error(f"headstart: {error}")
    if arguments.json:
        print(json.dumps(entries, ensure_ascii=False))
        return 0
    for entry in entries:
        print(f"{entry['task']}: {entry['summary']}\n  columns {', '.join(entry['columns'])}; chosen by "
              f"{entry['first_score']}; "
              + (f"default model {entry['default_model']}" if entry["default_model"] else "no default model: --model"))
    return 0


def default_reference(task: type[Task[Any]]) -> str:
    """The task's default model on this machine; "" where it has none."""
    return default_model(task).reference if task.default_model or task.default_package else ""
