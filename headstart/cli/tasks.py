"""`headstart tasks`: what it can be fine-tuned for."""

from __future__ import annotations

import argparse
import json

from headstart import tasks

SUMMARY = "the tasks: columns, scores, default model"


def add(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    parser.add_argument("--json", action="store_true", help="print as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Print every task."""
    entries = []
    for name in tasks.names():
        task = tasks.find(name)
        columns = [field.name if field.required else f"[{field.name}]" for field in task.fields]
        entries.append({"task": name, "summary": task.summary, "columns": columns,
                        "first_score": task.selection_score[0],
                      "kinds": list(task.kinds), "default_model": task.default_model})
    if arguments.json:
        print(json.dumps(entries, ensure_ascii=False))
        return 0
    for entry in entries:
        print(f"{entry['task']}: {entry['summary']}\n  columns {', '.join(entry['columns'])}; chosen by "
              f"{entry['first_score']}; "
              f"default model {entry['default_model']}")
    return 0
