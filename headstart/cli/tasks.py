"""`headstart tasks`: what it can be fine-tuned for."""

from __future__ import annotations

import argparse
import json

from headstart import tasks

SUMMARY = "the tasks: columns, scores, default model"


def add(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    parser.add_argument("--json", action="store_true", help="print as JSON")


def run(given: argparse.Namespace) -> int:
    """Print every task."""
    found = []
    for name in tasks.names():
        task = tasks.find(name)
        columns = [held.name if held.required else f"[{held.name}]" for held in task.fields]
        found.append({"task": name, "summary": task.summary, "columns": columns, "first_score": task.best[0],
                      "kinds": list(task.kinds), "default_model": task.default_model})
    if given.json:
        print(json.dumps(found, ensure_ascii=False))
        return 0
    for one in found:
        print(f"{one['task']}: {one['summary']}\n  columns {', '.join(one['columns'])}; chosen by {one['first_score']}; "
              f"default model {one['default_model']}")
    return 0
