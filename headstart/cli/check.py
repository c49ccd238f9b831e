"""`headstart check DATA`: the data check alone."""

from __future__ import annotations

import argparse
import json

from headstart.cli import _flags

SUMMARY = "the data check alone; exit 65 on faults, with --strict also on warnings"


def add(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    parser.add_argument("train", metavar="DATA", help="file or folder of rows")
    parser.add_argument("--dev", metavar="FILE", help="a second file, checked for leaks from the first")
    parser.add_argument("--test", metavar="FILE", help="a third file")
    parser.add_argument("--task", metavar="NAME", help="the task; detected from the columns when clear")
    parser.add_argument("--model", metavar="REF", help="count lengths in this model's tokens")
    parser.add_argument("--strict", action="store_true", help="exit 65 on warnings too")
    parser.add_argument("--seed", type=int, default=0, help=argparse.SUPPRESS)
    _flags.add_columns(parser)
    _flags.add_common(parser, training=False)


def run(arguments: argparse.Namespace) -> int:
    """Check; prints what was found."""
    from headstart.api import finetune

    run_values, columns, values = _flags.read_values(arguments)
    for name in ("train", "dev", "test", "task", "model", "seed", "strict", "allow_pickle"):
        if getattr(arguments, name) is not None:
            run_values[name] = getattr(arguments, name)
    report = finetune.check(run_values, columns, values, reporter=_flags.make_reporter(arguments))
    print(json.dumps(report, ensure_ascii=False) if arguments.json else "\n".join(report["words"]))
    return 0
