"""`headstart accept MODEL`: a saved model whose files or values were changed on purpose is taken as it is now."""

from __future__ import annotations

import argparse
import json

from headstart.cli import _flags

SUMMARY = "accept a saved model whose files you changed on purpose"


def add(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    parser.add_argument("model", metavar="MODEL", help="a run folder, or its model folder")
    _flags.add_shared(parser, "--json")


def run(arguments: argparse.Namespace) -> int:
    """Record the model's files anew; prints what had changed."""
    from headstart.artifacts.accept import accept

    changes = accept(arguments.model)
    if arguments.json:
        print(json.dumps({"changes": changes}, ensure_ascii=False))
    else:
        print("\n".join(changes) or f"{arguments.model} is as it was saved")
    return 0
