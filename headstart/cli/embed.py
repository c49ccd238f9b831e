"""`headstart embed MODEL INPUT`: texts as vectors."""

from __future__ import annotations

import argparse
import json

from headstart.cli import _flags

SUMMARY = "texts as vectors: .npy, or beside the rows in .parquet or .jsonl"


def add(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    parser.add_argument("model", metavar="MODEL", help="run folder, model folder, hub name or pip:PACKAGE")
    parser.add_argument("input", metavar="INPUT", help="file of rows; - is standard input, JSON lines")
    parser.add_argument("--to", metavar="F", default="-", help="F.npy (rows x width), F.parquet, F.jsonl (default: standard output)")
    parser.add_argument("--pool", choices=("mean", "first", "max"), default="mean", help="how a text's token states become one vector")
    parser.add_argument("--normalise", action="store_true", help="make every vector 1 long (a retrieval run does so by itself)")
    _flags.columns(parser)
    _flags.common(parser, training=False)


def run(given: argparse.Namespace) -> int:
    """Embed; vectors go to --to, words to standard error."""
    from headstart.prediction.embed_file import bare, compares, embed_file
    from headstart.runs.prepare import choose_device

    own, columns, values = _flags.values(given)
    groups, voice = _flags.groups(values), _flags.voice(given)
    model = bare(given.model, device=choose_device(given.device or own.get("device", "auto")), allow_pickle=bool(given.allow_pickle))
    given.normalise = given.normalise or compares(given.model)
    rows, width = embed_file(model, given.input, given.to, settings=groups["data"], given=columns, pool=given.pool,
                             normalise=given.normalise, batch_tokens=groups["evaluation"].batch_tokens, voice=voice)
    if given.to != "-":
        voice.say(f"wrote {rows:,} vectors of width {width} to {given.to}")
        if given.json:
            print(json.dumps({"rows": rows, "width": width, "to": given.to}))
    return 0
