"""`headstart resume RUN`: resume an interrupted run, bit for bit."""

from __future__ import annotations

import argparse
import json

from headstart.cli import _flags

SUMMARY = "resume an interrupted run, bit for bit"


def add(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    parser.add_argument("folder", metavar="RUN", help="the run folder")
    parser.add_argument("--quiet", action="store_true", help="print only errors and results")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Finish the run; prints the scores."""
    from headstart.api import finetune

    finished_run = finetune.resume(arguments.folder, reporter=_flags.make_reporter(arguments))
    print(json.dumps({"run": str(finished_run.path), "scores": finished_run.scores}, ensure_ascii=False)
          if arguments.json
          else finished_run.summary())
    return 0
