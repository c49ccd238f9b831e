"""`headstart tokenizer FILE --to FOLDER`: a tokenizer trained on the user's own texts."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from headstart.cli import _flags
from headstart.errors import UserError

SUMMARY = "train a tokenizer (WordPiece or byte BPE) on your own texts"


def add(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    parser.add_argument("input", metavar="FILE", help="file of texts (.txt: a line a text)")
    parser.add_argument("--to", metavar="FOLDER", required=True, help="the tokenizer's folder")
    parser.add_argument("--kind", choices=("wordpiece", "byte-bpe"), default="wordpiece")
    parser.add_argument("--size", type=int, default=30_000, metavar="N", help="most pieces (default 30,000)")
    parser.add_argument("--lowercase", action="store_true", help="capital letters become small ones")
    _flags.columns(parser)
    _flags.common(parser, training=False)


def run(given: argparse.Namespace) -> int:
    """Train; prints how many pieces there are."""
    from headstart import tasks
    from headstart.models.loading.scratch import train_tokenizer
    from headstart.prediction.embed_file import TASK, Texts
    from headstart.preparation.examples import read_examples, stop_on_faults

    if given.size < 300:
        raise UserError(f"--size takes 300 or more, but it is {given.size}.", fix="30,000 suits a language; 8,000 a small collection.")
    _, columns, values = _flags.values(given)
    settings, voice = _flags.groups(values)["data"], _flags.voice(given)
    reading = read_examples(tasks.find(TASK)(), given.input, settings, given=columns, training=False)
    stop_on_faults([reading], settings, None)
    voice.say(f"{reading.table.path}: {len(reading.examples):,} texts; {reading.table.format}")
    pieces = train_tokenizer(iter(Texts(reading.examples)), Path(given.to), kind=given.kind, size=given.size, lowercase=given.lowercase)
    print(json.dumps({"pieces": pieces, "to": given.to}) if given.json else f"{pieces:,} pieces in {given.to}")
    return 0
