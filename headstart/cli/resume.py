"""`headstart resume RUN`: resume an interrupted run, bit for bit."""

from __future__ import annotations

import argparse
from functools import partial
from typing import TYPE_CHECKING

from headstart.cli import _flags, _launch
from headstart.progress import Reporter
from headstart.training.distributed import World

if TYPE_CHECKING:
    from headstart.api.finetune import Run

SUMMARY = "resume an interrupted run, bit for bit"


def add(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    parser.add_argument("folder", metavar="RUN", help="the run folder")
    parser.add_argument("--accept-changes", action="store_true",
                        help="go on with a settings.toml that was changed since the run began (log.jsonl says so)")
    _launch.add(parser)
    _flags.add_shared(parser, "--quiet")
    _flags.add_shared(parser, "--json")


def run(arguments: argparse.Namespace) -> int:
    """Finish the run; prints the scores."""
    return _launch.train(arguments, partial(make_run, arguments))


def make_run(arguments: argparse.Namespace, world: World, reporter: Reporter) -> Run:
    """The finished run; raises UserError."""
    from headstart.api import finetune

    return finetune.resume_in(world, arguments.folder, accept_changes=arguments.accept_changes, reporter=reporter)
