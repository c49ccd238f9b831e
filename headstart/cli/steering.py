"""`headstart steering MODEL TEXTS --to FOLDER`: an attribute head that `generate --steer FOLDER=LABEL` steers by."""

from __future__ import annotations

import argparse
import json

from headstart.cli import _flags

SUMMARY = "a small head for generate --steer, from labelled texts"


def add(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    parser.add_argument("model", metavar="MODEL", help="the language model that will be steered; it stays as it is")
    parser.add_argument("texts", metavar="TEXTS", help="a file with a column of texts and one of labels")
    parser.add_argument("--to", metavar="FOLDER", required=True, help="where the head is saved (head.safetensors, head.json)")
    parser.add_argument("--text", metavar="COLUMN", default="text", help="the column of texts (default text)")
    parser.add_argument("--label", metavar="COLUMN", default="label", help="the column of labels (default label)")
    _flags.common(parser, training=False, groups=("data.",))


def run(given: argparse.Namespace) -> int:
    """Train the head; prints what it learned."""
    from headstart.api import model as api

    own, _, values = _flags.values(given)
    voice = _flags.voice(given)
    model = api.load_writer(given.model, device=given.device or own.get("device", "auto"), allow_pickle=bool(given.allow_pickle))
    facts = model.learn_attribute(given.texts, given.to, text=given.text, label=given.label, data=_flags.groups(values)["data"],
                                  voice=voice)
    accuracy = "no texts were held out" if facts["accuracy"] is None else (
        f"accuracy {facts['accuracy']:.4f} on {facts['held_out']:,} held-out texts (the commonest label: {facts['majority']:.4f})")
    print(json.dumps(facts, ensure_ascii=False) if given.json else f"labels {', '.join(facts['labels'])}; {accuracy}\nhead: {given.to}")
    return 0
