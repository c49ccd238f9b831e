"""`headstart resume RUN`: go on with an interrupted run, bit for bit."""

from __future__ import annotations

import argparse
import json

from headstart.cli import _flags

SUMMARY = "go on with an interrupted run, bit for bit"


def add(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    parser.add_argument("folder", metavar="RUN", help="the run folder")
    parser.add_argument("--quiet", action="store_true", help="say nothing but errors and results")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def run(given: argparse.Namespace) -> int:
    """Finish the run; prints the scores."""
    from headstart.api import model

    done = model.resume(given.folder, voice=_flags.voice(given))
    print(json.dumps({"run": str(done.path), "scores": done.scores}, ensure_ascii=False) if given.json else done.words())
    return 0
