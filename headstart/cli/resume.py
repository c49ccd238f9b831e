"""`headstart resume RUN`: resume an interrupted run, bit for bit."""

from __future__ import annotations

import argparse

from headstart.cli import _flags, _results

SUMMARY = "resume an interrupted run, bit for bit"


def add(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    parser.add_argument("folder", metavar="RUN", help="the run folder")
    parser.add_argument("--accept-changes", action="store_true",
                        help="go on with a settings.toml that was changed since the run began (log.jsonl says so)")
    _flags.add_shared(parser, "--quiet")
    _flags.add_shared(parser, "--json")


def run(arguments: argparse.Namespace) -> int:
    """Finish the run; prints the scores."""
    from headstart.api import finetune

    reporter = _flags.make_reporter(arguments)
    finished_run = finetune.resume(arguments.folder, reporter=reporter, accept_changes=arguments.accept_changes)
    _results.print_run(finished_run, reporter, as_json=arguments.json)
    return 0
