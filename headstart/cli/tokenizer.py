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
    parser.add_argument("input", metavar="FILE", help="file of texts (.txt: one per line)")
    _flags.add_shared(parser, "--to", "the tokenizer's folder", required=True)
    parser.add_argument("--kind", choices=("wordpiece", "byte-bpe"), default="wordpiece", help="kind of the tokenizer")
    parser.add_argument("--size", type=int, default=30_000, metavar="N", help="vocabulary size (default 30,000)")
    parser.add_argument("--lowercase", action="store_true", help="lowercase all texts")
    _flags.add_columns(parser, _flags.TEXT_TASK)
    _flags.add_common(parser, reads=("data.",), loads_model=False)


def run(arguments: argparse.Namespace) -> int:
    """Train; prints how many pieces there are."""
    from headstart import tasks
    from headstart.data.examples import read_examples, stop_on_faults
    from headstart.models.loading.from_config import train_tokenizer
    from headstart.prediction.embed_file import TASK, ExampleTexts

    if arguments.size < 300:
        raise UserError(f"--size takes 300 or more, but it is {arguments.size}.",
                        fix="30,000 suits a language; 8,000 a small collection.")
    _, columns, values = _flags.read_values(arguments)
    settings, reporter = _flags.build_groups(values)["data"], _flags.make_reporter(arguments)
    reading = read_examples(tasks.find(TASK)(), arguments.input, settings, columns=columns, training=False)
    stop_on_faults([reading], settings, None)
    reporter.info(f"{reading.table.path}: {len(reading.examples):,} texts; {reading.table.format}")
    pieces = train_tokenizer(iter(ExampleTexts(reading.examples)), Path(arguments.to), kind=arguments.kind,
                             vocabulary_size=arguments.size, lowercase=arguments.lowercase)
    print(json.dumps({"pieces": pieces, "to": arguments.to}) if arguments.json
          else f"{pieces:,} pieces in {arguments.to}")
    return 0
