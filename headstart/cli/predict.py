"""`headstart predict MODEL INPUT`: file in, file out."""

from __future__ import annotations

import argparse
import json
import os

from headstart.cli import _flags, _one_row
from headstart.errors import UserError

SUMMARY = "file in, file out: the rows with predictions added"


def add(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    parser.add_argument("model", metavar="MODEL", help="run folder, model folder, hub name or pip:PACKAGE")
    parser.add_argument("input", metavar="INPUT", nargs="?", help="file of rows; - is standard input, JSON lines; "
                                                                "a text that names no file is one row")
    _flags.add_shared(parser, "--to", "a file; its name says the format (else standard output)", default="-")
    _flags.add_shared(parser, "--task", "of a model that is no headstart run, when its config does not say")
    parser.add_argument("--value", metavar="NAME=TEXT", action="append", default=[],
                        help="one row without a file; NAME=@FILE reads the text from a file")
    parser.add_argument("--as-training-data", action="store_true",
                        help="write the inputs with the predictions as targets: training data for finetune "
                             "(pseudo-labels)")
    _flags.add_shared(parser, "--overwrite", "never the input itself")
    _flags.add_columns(parser)
    _flags.add_common(parser, reads=("data.", "evaluation.batch_tokens", "evaluation.precision", "model.dtype",
                                     "generation.", "early_exit.", "task."))


def run(arguments: argparse.Namespace) -> int:
    """Predict; rows go to --to, messages to standard error."""
    from headstart.api import model as api

    if bool(arguments.value) == bool(arguments.input):
        raise UserError("predict takes a file of rows, or one row by --value; it got "
                        + ("both." if arguments.input else "neither."),
                        fix="For example: headstart predict MODEL new.csv --to answers.csv")
    run_values, columns, values = _flags.read_values(arguments)
    reporter = _flags.make_reporter(arguments)
    groups = _flags.build_groups(values)
    row = _one_row.parse_values(arguments.value)
    is_text = not row and _one_row.is_row_text(arguments.input)
    if arguments.as_training_data and (row or is_text):
        raise UserError("--as-training-data makes a file of rows from a file of rows, not from one row.",
                        fix="For example: headstart predict MODEL texts.csv --as-training-data --to pairs.jsonl")
    _one_row.check_place(arguments)
    model = api.load(arguments.model, arguments.task, device=arguments.device or run_values.get("device", "auto"),
                     allow_pickle=bool(arguments.allow_pickle), language=groups["data"].language,
                     target_language=groups["data"].target_language, dtype=groups["model"].dtype)
    model.set(_flags.model_settings(values))
    reporter.info(model.summary())
    model.settle_precision(groups["evaluation"].precision, reporter)
    if row or is_text:
        row = row or _one_row.text_row(model.task, arguments.input, reporter)
        _one_row.predict_row(model, row, arguments, reporter)
        return 0
    rows = model.predict_file(arguments.input, arguments.to, columns=columns, data=groups["data"],
                              evaluation=groups["evaluation"], reporter=reporter,
                              as_training_data=arguments.as_training_data, overwrite=arguments.overwrite)
    if arguments.to != "-":
        reporter.info(f"wrote {rows:,} {'texts' if os.path.isdir(arguments.to) else 'rows'} to {arguments.to}")
        if arguments.json:
            print(json.dumps({"rows": rows, "to": arguments.to}))
    return 0
