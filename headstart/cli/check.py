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
    parser.add_argument("--task", metavar="NAME", help="what the file is for; found from its columns when clear")
    parser.add_argument("--model", metavar="REF", help="count lengths in this model's tokens")
    parser.add_argument("--strict", action="store_true", help="exit 65 on warnings too")
    parser.add_argument("--seed", type=int, default=0, help=argparse.SUPPRESS)
    _flags.columns(parser)
    _flags.common(parser, training=False)


def run(given: argparse.Namespace) -> int:
    """Check; prints what was found."""
    from headstart.api import model

    own, columns, values = _flags.values(given)
    for name in ("train", "dev", "test", "task", "model", "seed", "strict", "allow_pickle"):
        if getattr(given, name) is not None:
            own[name] = getattr(given, name)
    found = model.check(own, columns, values, voice=_flags.voice(given))
    print(json.dumps(found, ensure_ascii=False) if given.json else "\n".join(found["words"]))
    return 0
