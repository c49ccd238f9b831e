"""`headstart push RUN OWNER/NAME`: a trained model on the hub, private unless you say otherwise."""

from __future__ import annotations

import argparse
import json

from headstart.cli import _flags

SUMMARY = "push a trained model to the hub: card, weights, tokenizer; never data"


def add(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    parser.add_argument("model", metavar="RUN", help="a finished run, or its model folder")
    parser.add_argument("name", metavar="OWNER/NAME", help="the repository; made where it is not there")
    visibility = parser.add_mutually_exclusive_group()
    visibility.add_argument("--private", action="store_true", help="only you and the owner's members see it (default)")
    visibility.add_argument("--public", action="store_true", help="everybody may read it")
    parser.add_argument("--message", metavar="TEXT", help="message of the commit")
    parser.add_argument("--revision", metavar="BRANCH", help="branch that is written (default main)")
    parser.add_argument("--with-examples", action="store_true",
                        help="leave the dev rows in headstart.json that a server replays; else they stay here")
    _flags.add_shared(parser, "--overwrite", "a new commit; the old files stay in the history")
    _flags.add_shared(parser, "--quiet")
    _flags.add_shared(parser, "--json")


def run(arguments: argparse.Namespace) -> int:
    """Push, and print the address."""
    from headstart.shipping.push import Destination, push

    destination = Destination(arguments.name, arguments.revision, arguments.public, arguments.overwrite)
    address = push(arguments.model, destination, message=arguments.message, with_examples=arguments.with_examples,
                   reporter=_flags.make_reporter(arguments))
    print(json.dumps({"address": address}) if arguments.json else address)
    return 0
