"""`headstart check DATA`: the data check alone."""

from __future__ import annotations

import argparse
import json

from headstart.cli import _flags

SUMMARY = "check data without training; exit 65 on faults, with --strict also on warnings"


def add(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    parser.add_argument("train", metavar="DATA", help="file or folder of rows")
    _flags.add_shared(parser, "--dev", "checked for leaks from DATA")
    _flags.add_shared(parser, "--test", "checked for leaks from DATA")
    _flags.add_shared(parser, "--task", "detected from the columns when clear")
    _flags.add_shared(parser, "--model", "whose tokenizer reads the texts; the task's default when not given")
    _flags.add_shared(parser, "--strict")
    _flags.add_columns(parser)
    _flags.add_common(parser, reads=("data.", "task."), loads_model=False)


def run(arguments: argparse.Namespace) -> int:
    """Check; prints what was found."""
    from headstart.api import finetune

    run_values, columns, values = _flags.read_values(arguments)
    for name in ("train", "dev", "test", "task", "model", "strict"):
        if getattr(arguments, name) is not None:
            run_values[name] = getattr(arguments, name)
    report = finetune.check(run_values, columns, values, reporter=_flags.make_reporter(arguments))
    print(json.dumps(report, ensure_ascii=False) if arguments.json else "\n".join(report["words"]))
    return 0
