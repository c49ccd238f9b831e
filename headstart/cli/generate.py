"""`headstart generate MODEL [PROMPT…]`: text after each prompt."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from typing import Any

from headstart.cli import _flags
from headstart.errors import UserError

SUMMARY = "text that a language model writes after prompts"


def add(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    parser.add_argument("model", metavar="MODEL", help="run folder, model folder, hub name or pip:PACKAGE")
    parser.add_argument("prompts", metavar="PROMPT", nargs="*", help="what comes before the text; - reads one a line from standard input")
    parser.add_argument("--file", metavar="FILE", help="prompts from a file, one a line, or rows with a prompt column")
    parser.add_argument("--new-tokens", type=int, metavar="N", help="tokens at most; -1: as many as the model takes (default 64)")
    parser.add_argument("--sample", action="store_true", help="draw tokens instead of taking the likeliest")
    parser.add_argument("--chat", action="store_true", help="lay prompts out by the tokenizer's chat template")
    parser.add_argument("--temperature", type=float, metavar="T")
    parser.add_argument("--top-k", type=int, metavar="N")
    parser.add_argument("--top-p", type=float, metavar="P")
    parser.add_argument("--beams", type=int, metavar="N")
    parser.add_argument("--answers", type=int, metavar="N", help="texts for each prompt")
    parser.add_argument("--stop", metavar="TEXT", action="append", default=[], help="end the text before this")
    parser.add_argument("--steer", metavar="TOWARDS", action="append", default=[],
                        help="a bag of words (science, sea, kitchen, or a file with a word a line) or FOLDER=LABEL of an attribute head "
                             "(headstart steering); several may be given; shows the unsteered text beside")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the draws")
    _flags.common(parser, training=False, groups=("generation.", "steering.", "data."))


def run(given: argparse.Namespace) -> int:
    """Write; texts go to standard output, words to standard error."""
    from headstart.api import model as api
    from headstart.generation.family_inputs import advice

    own, _, values = _flags.values(given)
    voice = _flags.voice(given)
    for name in ("new_tokens", "temperature", "top_k", "top_p", "beams", "answers"):
        if getattr(given, name) is not None:
            values[f"generation.{name}"] = getattr(given, name)
    for name in ("sample", "chat"):
        if getattr(given, name):
            values[f"generation.{name}"] = True
    groups = _flags.groups(values)
    settings = groups["generation"]
    prompts = read_prompts(given)
    model = api.load_writer(given.model, device=given.device or own.get("device", "auto"), allow_pickle=bool(given.allow_pickle),
                            prompts=prompts, generation=settings, data=groups["data"])
    way = f"drawn tokens, seed {given.seed}" if settings.sample else "contrastive search" if settings.contrast else \
        f"{settings.beam_groups} groups of beams" if settings.beam_groups > 1 else "the likeliest tokens"
    voice.say(f"model: {given.model} ({model.loaded.facts.family}); {way}")
    if (word := advice(model.loaded.facts, settings)) is not None:
        voice.say(word)
    if given.steer:
        return steered(given, model, prompts, groups, voice)
    rewrites = model.loaded.facts.row.rewrite is not None  # it writes for a text, not after it
    streams = not rewrites and len(prompts) == 1 and not given.json and settings.beams == settings.answers == 1 and not given.stop
    if streams:
        rows = streamed(given, model, prompts, settings)
    else:
        rows = model.generate(prompts, settings=settings, seed=given.seed, stop=given.stop)
    for row in rows:
        if row["cut_tokens"]:
            voice.say(f"the {'last' if rewrites else 'first'} {row['cut_tokens']:,} tokens of the prompt do not fit and were left out: "
                      f"{row['prompt'][:60]!r} …")
        if given.json:
            print(json.dumps(row, ensure_ascii=False))
        elif not streams:
            print(row["prediction"] if settings.chat or rewrites else row["prompt"] + row["prediction"])
    return 0


def streamed(given: argparse.Namespace, model: Any, prompts: list[str], settings: Any) -> list[dict[str, Any]]:
    """One text as it comes; the prompt is said with its first word, when nothing was refused."""
    begin = [] if settings.chat else [prompts[0]]
    rows: list[dict[str, Any]] = model.generate(prompts, settings=settings, seed=given.seed,
                                                stream=lambda text: say("".join([*begin, text]), begin))
    print("".join(begin))
    return rows


def steered(given: argparse.Namespace, model: Any, prompts: list[str], groups: Mapping[str, Any], voice: Any) -> int:
    """Unsteered and steered texts side by side, the bags' words in colour on a terminal."""
    import os

    from headstart.generation.steering.comparison import words

    rows = model.generate(prompts, settings=groups["generation"], seed=given.seed, stop=given.stop, steer=given.steer,
                          steering=groups["steering"])
    colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    for row in rows:
        if row["cut_tokens"]:
            voice.say(f"the first {row['cut_tokens']:,} tokens of the prompt do not fit and were left out: {row['prompt'][:60]!r} …")
        print(json.dumps(row, ensure_ascii=False) if given.json else words(row, colour=colour))
    return 0


def say(text: str, begin: list[str]) -> None:
    """A piece of the text as it comes; what it began with is not said again."""
    begin.clear()
    sys.stdout.write(text)
    sys.stdout.flush()


def read_prompts(given: argparse.Namespace) -> list[str]:
    """Prompts from the arguments, standard input or a file; raises UserError."""
    if given.file is not None:
        from headstart.data.table import open_table
        from headstart.settings import Data

        if given.prompts:
            raise UserError("Prompts come as arguments or from --file, not both.", fix="Leave one out.")
        table = open_table(given.file, Data())
        column = next((name for name in ("prompt", "text", *table.columns) if name in table.columns), None)
        if column is None:
            raise UserError(f"{given.file} has no columns.", fix="Give a file of prompts.")
        place = list(table.columns).index(column)
        return [str(record.values[place]) for record in table]
    if given.prompts == ["-"]:
        return [line.rstrip("\n") for line in sys.stdin]
    return list(given.prompts) or [""]
