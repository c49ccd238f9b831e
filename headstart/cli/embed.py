"""`headstart embed MODEL INPUT`: texts as vectors."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from headstart.cli import _flags

SUMMARY = "turn texts into vectors: .npy, or added to the rows in .parquet or .jsonl"


def add(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    parser.add_argument("model", metavar="MODEL", help="run folder, model folder, hub name or pip:PACKAGE")
    parser.add_argument("input", metavar="INPUT", help="file of rows; - is standard input, JSON lines")
    _flags.add_shared(parser, "--to", "F.npy (rows x width), F.parquet, F.jsonl (else standard output)", default="-")
    parser.add_argument("--pool", choices=("mean", "first", "max"), default="mean",
                        help="how a text's token states become one vector")
    parser.add_argument("--normalise", action="store_true",
                        help="normalise vectors to length 1 (the default of a retrieval run)")
    _flags.add_shared(parser, "--processes", "each embeds parts of the rows; the vectors are the same", default="1")
    _flags.add_shared(parser, "--on")
    _flags.add_shared(parser, "--overwrite", "never the input itself")
    _flags.add_columns(parser, _flags.TEXT_TASK)
    _flags.add_common(parser, reads=("data.", "evaluation.batch_tokens", "evaluation.precision", "model.dtype"))


def run(arguments: argparse.Namespace) -> int:
    """Embed; vectors go to --to, messages to standard error."""
    from headstart.data.outputs.layout import check_name
    from headstart.data.outputs.place import check_output
    from headstart.models.loading.device import choose_device
    from headstart.models.loading.weights import checksum
    from headstart.models.precision_choice import choose_evaluation_precision
    from headstart.prediction.embed_file import EmbeddingWork, embed_file, expects_unit_vectors, load_headless
    from headstart.prediction.processes import share_work

    run_values, columns, values = _flags.read_values(arguments)
    groups, reporter = _flags.build_groups(values), _flags.make_reporter(arguments)
    check_output(arguments.to, overwrite=arguments.overwrite, inputs=(arguments.input, arguments.settings or ""))
    check_name(arguments.to, arguments.input, ("npy", "npz", "pt", "safetensors"))  # the others are named when refused
    device = choose_device(arguments.device or run_values.get("device", "auto"))
    choice = choose_evaluation_precision(groups["evaluation"].precision, device)
    choice.tell(reporter)
    model = load_headless(arguments.model, device=device, allow_pickle=bool(arguments.allow_pickle),
                          precision=choice.name, dtype=groups["model"].dtype)
    arguments.normalise = arguments.normalise or expects_unit_vectors(arguments.model)
    batch_tokens = groups["evaluation"].batch_tokens
    processes = _flags.shared_processes(arguments)
    weights_checksum = "" if processes == "1" else checksum(model.module.parameters())  # other processes compare theirs
    # whole: without its folder another process would take the name for one of the hub
    reference = str(Path(arguments.model).resolve()) if Path(arguments.model).exists() else arguments.model
    work = EmbeddingWork(reference, device, bool(arguments.allow_pickle), choice.name, groups["model"].dtype,
                         arguments.pool, arguments.normalise, batch_tokens, weights_checksum)
    sharing = share_work(work, processes, device, reporter)
    rows, width = embed_file(model, arguments.input, arguments.to, settings=groups["data"], columns=columns,
                             pool=arguments.pool, normalise=arguments.normalise, batch_tokens=batch_tokens,
                             reporter=reporter, overwrite=arguments.overwrite, sharing=sharing)
    if arguments.to != "-":
        reporter.info(f"wrote {rows:,} vector{'s' * (rows != 1)} of width {width} to {arguments.to}")
        if arguments.json:
            print(json.dumps({"rows": rows, "width": width, "to": arguments.to}))
    return 0
