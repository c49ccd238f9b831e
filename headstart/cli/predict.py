"""`headstart predict MODEL INPUT`: file in, file out."""

from __future__ import annotations

import argparse
import json
import os

from headstart.cli import _flags
from headstart.errors import UserError

SUMMARY = "file in, file out: the user's rows with predictions beside them"


def add(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    parser.add_argument("model", metavar="MODEL", help="run folder, model folder, hub name or pip:PACKAGE")
    parser.add_argument("input", metavar="INPUT", nargs="?", help="file of rows; - is standard input, JSON lines")
    parser.add_argument("--to", metavar="F", default="-", help="output file; its name says the format (default: standard output)")
    parser.add_argument("--task", metavar="NAME", help="of a model that is no run of ours, when its config does not say")
    parser.add_argument("--value", metavar="NAME=TEXT", action="append", default=[],
                        help="one row without a file; NAME=@FILE reads the text from a file")
    parser.add_argument("--as-training-data", action="store_true",
                        help="write what the task reads and the predictions as its target: a file for finetune (pseudo-labels)")
    parser.add_argument("--overwrite", action="store_true", help="of a folder of .txt files: write over those in the folder --to")
    _flags.columns(parser)
    _flags.common(parser, training=False)


def run(given: argparse.Namespace) -> int:
    """Predict; rows go to --to, words to standard error."""
    from headstart.api import model as api

    if bool(given.value) == bool(given.input):
        raise UserError("predict takes a file of rows, or one row by --value; it got " + ("both." if given.input else "neither."),
                        fix="For example: headstart predict MODEL new.csv --to answers.csv")
    if given.as_training_data and not given.input:
        raise UserError("--as-training-data makes a file of rows from a file of rows, not from --value.",
                        fix="For example: headstart predict MODEL texts.csv --as-training-data --to pairs.jsonl")
    own, columns, values = _flags.values(given)
    voice = _flags.voice(given)
    groups = _flags.groups(values)
    row = _flags.one_off(given.value)
    model = api.load(given.model, given.task, device=given.device or own.get("device", "auto"),
                     allow_pickle=bool(given.allow_pickle), language=groups["data"].language,
                     target_language=groups["data"].target_language)
    model.set({key: value for key, value in values.items() if key.startswith(("task.", "generation."))})
    voice.say(model.words())
    if row:
        for prediction in model.predict([row]):
            print(json.dumps(prediction, ensure_ascii=False))
        return 0
    rows = model.predict_file(given.input, given.to, columns=columns, data=groups["data"],
                              evaluation=groups["evaluation"], voice=voice, as_training_data=given.as_training_data,
                              overwrite=given.overwrite)
    if given.to != "-":
        voice.say(f"wrote {rows:,} {'texts' if os.path.isdir(given.to) else 'rows'} to {given.to}")
        if given.json:
            print(json.dumps({"rows": rows, "to": given.to}))
    return 0
