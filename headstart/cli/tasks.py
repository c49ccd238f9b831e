"""`headstart tasks`: what it can be fine-tuned for."""

from __future__ import annotations

import argparse
import json
import sys

from headstart import tasks
from headstart.cli import _flags

SUMMARY = "the tasks: columns, scores, default model"


def add(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    _flags.add_shared(parser, "--json")


def run(arguments: argparse.Namespace) -> int:
    """Print every task."""
    entries = []
    usable_tasks, errors = tasks.usable()
    for task in usable_tasks:
        columns = [field.name if field.required else f"[{field.name}]" for field in task.fields]
        entries.append({"task": task.name, "summary": task.summary, "columns": columns,
                        "first_score": task.selection_score[0],
                      "kinds": list(task.kinds), "default_model": task.default_model})
    for error in errors:
        print(f"headstart: {error}", file=sys.stderr)
    if arguments.json:
        print(json.dumps(entries, ensure_ascii=False))
        return 0
    for entry in entries:
        print(f"{entry['task']}: {entry['summary']}\n  columns {', '.join(entry['columns'])}; chosen by "
              f"{entry['first_score']}; default model {entry['default_model']}")
    return 0
