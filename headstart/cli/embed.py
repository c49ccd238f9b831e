"""`headstart embed MODEL INPUT`: texts as vectors."""

from __future__ import annotations

import argparse
import json

from headstart.cli import _flags

SUMMARY = "texts as vectors: .npy, or added to the rows in .parquet or .jsonl"


def add(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    parser.add_argument("model", metavar="MODEL", help="run folder, model folder, hub name or pip:PACKAGE")
    parser.add_argument("input", metavar="INPUT", help="file of rows; - is standard input, JSON lines")
    _flags.add_shared(parser, "--to", "F.npy (rows x width), F.parquet, F.jsonl (else standard output)", default="-")
    parser.add_argument("--pool", choices=("mean", "first", "max"), default="mean",
                        help="how a text's token states become one vector")
    parser.add_argument("--normalise", action="store_true",
                        help="normalise vectors to length 1 (the default of a retrieval run)")
    _flags.add_columns(parser, _flags.TEXT_TASK)
    _flags.add_common(parser, reads=("data.", "evaluation.batch_tokens"))


def run(arguments: argparse.Namespace) -> int:
    """Embed; vectors go to --to, messages to standard error."""
    from headstart.models.loading.device import choose_device
    from headstart.prediction.embed_file import embed_file, expects_unit_vectors, load_headless

    run_values, columns, values = _flags.read_values(arguments)
    groups, reporter = _flags.build_groups(values), _flags.make_reporter(arguments)
    device = choose_device(arguments.device or run_values.get("device", "auto"))
    model = load_headless(arguments.model, device=device, allow_pickle=bool(arguments.allow_pickle))
    arguments.normalise = arguments.normalise or expects_unit_vectors(arguments.model)
    rows, width = embed_file(model, arguments.input, arguments.to, settings=groups["data"], columns=columns,
                             pool=arguments.pool,
                             normalise=arguments.normalise, batch_tokens=groups["evaluation"].batch_tokens,
                             reporter=reporter)
    if arguments.to != "-":
        reporter.info(f"wrote {rows:,} vectors of width {width} to {arguments.to}")
        if arguments.json:
            print(json.dumps({"rows": rows, "width": width, "to": arguments.to}))
    return 0
