"""`headstart predict MODEL INPUT`: file in, file out."""

from __future__ import annotations

import argparse
import json

from headstart.cli import _flags, _labels, _one_row
from headstart.errors import UserError

SUMMARY = "predict a file: the same rows with predictions added"


def add(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    parser.add_argument("model", metavar="MODEL", help="run folder, model folder, hub name or pip:PACKAGE")
    parser.add_argument("input", metavar="INPUT", nargs="?", help="file of rows; - is standard input, JSON lines; "
                                                                "a text that names no file is one row")
    _flags.add_shared(parser, "--to", "a file; its name says the format (else standard output)", default="-")
    _flags.add_shared(parser, "--task", "of a model that is not a headstart run, when its config does not say")
    parser.add_argument("--value", metavar="NAME=TEXT", action="append", default=[],
                        help="one row without a file; NAME=@FILE reads the text from a file")
    parser.add_argument("--as-training-data", action="store_true",
                        help="write the inputs with the predictions as targets: training data for finetune "
                             "(pseudo-labels)")
    parser.add_argument("--min-probability", type=float, metavar="P",
                        help="as --as-training-data, but only rows whose prediction has this probability or more")
    parser.add_argument("--no-abstain", action="store_true",
                        help="answer every row, also where the model would abstain (evaluation.risk)")
    _flags.add_shared(parser, "--processes", "each predicts parts of the rows; the output is the same", default="1")
    _flags.add_shared(parser, "--on")
    _labels.add(parser)
    _flags.add_shared(parser, "--overwrite", "never the input itself")
    _flags.add_columns(parser)
    _flags.add_common(parser, reads=("data.", "evaluation.batch_tokens", "evaluation.precision", "model.dtype",
                                     "generation.", "early_exit.", "zero_shot.", "task."))


def run(arguments: argparse.Namespace) -> int:
    """Predict; rows go to --to, messages to standard error."""
    from headstart.api import model as api
    from headstart.prediction.predict_folder import is_text_folder

    if bool(arguments.value) == bool(arguments.input):
        raise UserError("predict takes a file of rows, or one row by --value; it got "
                        + ("both." if arguments.input else "neither."),
                        fix="For example: headstart predict MODEL new.csv --to answers.csv")
    run_values, columns, values = _flags.read_values(arguments)
    reporter = _flags.make_reporter(arguments)
    groups = _flags.build_groups(values)
    row = _one_row.parse_values(arguments.value)
    is_text = not row and _one_row.is_row_text(arguments.input)
    check_one_row(arguments, is_one_row=bool(row) or is_text)
    _one_row.check_place(arguments)
    model = api.load(arguments.model, arguments.task, device=arguments.device or run_values.get("device", "auto"),
                     allow_pickle=bool(arguments.allow_pickle), language=groups["data"].language,
                     target_language=groups["data"].target_language, dtype=groups["model"].dtype,
                     **_labels.load_values(arguments, columns, values))
    model.set(_flags.model_settings(values))
    if arguments.no_abstain:
        model.answer_always()
    reporter.info(model.summary())
    _labels.tell(model, reporter, is_measured=False)
    model.settle_precision(groups["evaluation"].precision, reporter)
    if row or is_text:
        row = row or _one_row.text_row(model.task, arguments.input, reporter)
        _one_row.predict_row(model, row, arguments, reporter)
        return 0
    rows = model.predict_file(arguments.input, arguments.to, columns=columns, data=groups["data"],
                              evaluation=groups["evaluation"], reporter=reporter,
                              as_training_data=arguments.as_training_data,
                              min_probability=arguments.min_probability, overwrite=arguments.overwrite,
                              processes=_flags.shared_processes(arguments))
    if arguments.to != "-":
        unit = "text" if model.task.generative and is_text_folder(arguments.input) else "row"
        reporter.info(f"wrote {rows:,} {unit}{'s' * (rows != 1)} to {arguments.to}")
        if arguments.json:
            print(json.dumps({"rows": rows, "to": arguments.to} | _labels.json_note(model)))
    return 0


def check_one_row(arguments: argparse.Namespace, *, is_one_row: bool) -> None:
    """Refuse training data and several processes of one row, and a least probability that is none; raises UserError
    (2).
    """
    from headstart.prediction.pseudo_labels import check_min_probability

    if is_one_row:
        _flags.refuse_processes(arguments, "this is one row")
    if is_one_row and (arguments.as_training_data or arguments.min_probability is not None):
        flag = "--as-training-data" if arguments.as_training_data else "--min-probability"
        raise UserError(f"{flag} makes a file of rows from a file of rows, not from one row.",
                        fix="For example: headstart predict MODEL texts.csv --as-training-data --to pairs.jsonl")
    check_min_probability(arguments.min_probability)
