"""`headstart steering-head MODEL TEXTS --to FOLDER`: an attribute head that `generate --steer FOLDER=LABEL` steers by.
"""

from __future__ import annotations

import argparse
import json

from headstart.cli import _flags

SUMMARY = "train an attribute head for generate --steer on labelled texts"


def add(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    parser.add_argument("model", metavar="MODEL", help="the language model that will be steered; it is not changed")
    parser.add_argument("texts", metavar="TEXTS", help="a file with a column of texts and one of labels")
    _flags.add_shared(parser, "--to", "the head's folder (head.safetensors, head.json)", required=True)
    group = parser.add_argument_group("columns", "which column of the file is what")
    _flags.add_column(group, "text", "the texts (default text)")
    _flags.add_column(group, "label", "their labels (default label)")
    _flags.add_common(parser, reads=("data.",))


def run(arguments: argparse.Namespace) -> int:
    """Train the head; prints its labels and its accuracy."""
    from headstart.api.generator import load_generator

    run_values, columns, values = _flags.read_values(arguments)
    reporter = _flags.make_reporter(arguments)
    model = load_generator(arguments.model, device=arguments.device or run_values.get("device", "auto"),
                           allow_pickle=bool(arguments.allow_pickle))
    facts = model.train_steering_head(arguments.texts, arguments.to,
                                      text=columns.get("text", "text"), label=columns.get("label", "label"),
                                      data=_flags.build_groups(values)["data"], reporter=reporter)
    accuracy = "no texts were held out" if facts["accuracy"] is None else (
        f"accuracy {facts['accuracy']:.4f} on {facts['held_out']:,} held-out texts (the commonest label: "
        f"{facts['majority']:.4f})")
    print(json.dumps(facts, ensure_ascii=False) if arguments.json else
          f"labels {', '.join(facts['labels'])}; {accuracy}\nhead: {arguments.to}")
    return 0
