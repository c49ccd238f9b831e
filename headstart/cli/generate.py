"""`headstart generate MODEL [PROMPT…]`: text after each prompt."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from typing import Any

from headstart.cli import _flags, _help
from headstart.errors import UserError
from headstart.progress.visible import unfiltered
from headstart.settings import Generation, Setting, list_settings

SUMMARY = "generate text from prompts with a language model"
COMMON = ("max_new_tokens", "temperature", "top_k", "top_p", "num_beams", "num_return_sequences")  # in the short help


def add(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    parser.add_argument("model", metavar="MODEL", help="run folder, model folder, hub name or pip:PACKAGE")
    parser.add_argument("prompts", metavar="PROMPT", nargs="*",
                        help="the prompts; - reads one per line from standard input")
    parser.add_argument("--file", metavar="FILE",
                        help="prompts from a file, one per line, or rows with a prompt column")
    parser.add_argument("--sample", action="store_true", help="sample tokens instead of greedy decoding")
    parser.add_argument("--chat", action="store_true",
                        help="lay prompts out by the tokenizer's chat template (generation.layout=chat); by default a "
                             "run is prompted as it was trained")
    further = parser.add_argument_group(_help.FURTHER, "settings of generation, as GenerationConfig calls them")
    for setting in flag_settings():
        name = setting.key.removeprefix("generation.")
        (parser if name in COMMON else further).add_argument(f"--{name.replace('_', '-')}", metavar="N",
                                                             help=setting.note.help)
    parser.add_argument("--stop", metavar="TEXT", action="append", default=[], help="stop before this text")
    parser.add_argument("--steer", metavar="TOWARDS", action="append", default=[],
                        help="a bag of words (science, sea, kitchen, or a file with one word per line) or FOLDER=LABEL "
                             "of an attribute head (headstart steering-head); several may be given; also shows the "
                             "unsteered text")
    _flags.add_shared(parser, "--seed", "of sampling", default=0)
    _flags.add_common(parser, reads=("generation.", "steering.", "data.language", "data.target_language",
                                     "evaluation.precision", "model.dtype"))


def flag_settings() -> list[Setting]:
    """The settings of generation that have a flag of their own: the numbers."""
    return [setting for setting in list_settings("generation", Generation)
            if setting.type in (int, float) and setting.key != "generation.batch_size"]


def run(arguments: argparse.Namespace) -> int:
    """Generate; texts go to standard output, messages to standard error."""
    from headstart.api.generator import load_generator
    from headstart.generation.family_inputs import sampling_hint
    from headstart.generation.prompts import layout_text

    run_values, values = read_values(arguments)
    reporter = _flags.make_reporter(arguments)
    groups = _flags.build_groups(values)
    settings = groups["generation"]
    prompts = read_prompts(arguments)
    model = load_generator(arguments.model, device=arguments.device or run_values.get("device", "auto"),
                           allow_pickle=bool(arguments.allow_pickle), prompts=prompts, generation=settings,
                           data=groups["data"], dtype=groups["model"].dtype)
    seq2seq = model.transformer.generates_from_source
    layout_words = ""
    if not seq2seq:
        layout_words = f"; {layout_text(model.task, model.transformer, settings)}"
        settings = model.prompt_settings({key.removeprefix("generation."): value for key, value in values.items()
                                          if key.startswith("generation.")})
        groups["generation"] = settings
    reporter.info(f"model: {arguments.model} ({model.transformer.info.family_name}); "
                  f"{decoding_text(settings, arguments.seed)}{layout_words}")
    if (hint := sampling_hint(model.transformer.info, settings)) is not None:
        reporter.info(hint)
    if arguments.steer:
        reporter.info("precision fp32: steering follows gradients, which need it")
        return print_steered(arguments, model, prompts, groups, reporter)
    model.settle_precision(groups["evaluation"].precision, reporter)
    print_texts(arguments, model, prompts, settings, reporter)
    return 0


def read_values(arguments: argparse.Namespace) -> tuple[dict[str, Any], dict[str, Any]]:
    """run.* and the settings, those of the flags of generation among them; raises UserError (78)."""
    run_values, _, values = _flags.read_values(arguments)
    for key in (setting.key for setting in flag_settings()):
        if getattr(arguments, key.removeprefix("generation.")) is not None:
            values[key] = getattr(arguments, key.removeprefix("generation."))
    if arguments.sample:
        values["generation.do_sample"] = True
    if arguments.chat:
        values["generation.layout"] = "chat"
    return run_values, values


def print_texts(arguments: argparse.Namespace, model: Any, prompts: list[str], settings: Any, reporter: Any) -> None:
    """Generate and print, one text as it comes where it is the only one; what does not fit is told."""
    seq2seq = model.transformer.generates_from_source
    single = len(prompts) == 1 and settings.num_beams == settings.num_return_sequences == 1
    streams = single and not (seq2seq or arguments.json or arguments.stop)
    if streams:
        rows = stream_text(arguments, model, prompts, settings)
    else:
        rows = model.generate(prompts, settings=settings, seed=arguments.seed, stop=arguments.stop)
    for row in rows:
        if row["cut_tokens"]:
            reporter.info(f"the {'last' if seq2seq else 'first'} {row['cut_tokens']:,} tokens of the prompt do not fit "
                          f"and were left out: {row['prompt'][:60]!r} …")
        if arguments.json:
            print(json.dumps(row, ensure_ascii=False))
        elif not streams:
            print(row["prediction"] if settings.layout != "raw" else row["prompt"] + row["prediction"])


def decoding_text(settings: Any, seed: int) -> str:
    """How texts are decoded, as the command says it."""
    if settings.do_sample:
        return f"sampling, seed {seed}"
    if settings.penalty_alpha:
        return "contrastive search"
    if settings.num_beam_groups > 1:
        return f"diverse beam search, {settings.num_beam_groups} groups"
    return f"beam search, {settings.num_beams} beams" if settings.num_beams > 1 else "greedy decoding"


def stream_text(arguments: argparse.Namespace, model: Any, prompts: list[str], settings: Any) -> list[dict[str, Any]]:
    """One text as it is generated; the prompt is printed with its first piece, so never before an error."""
    prefix = [prompts[0]] if settings.layout == "raw" else []
    rows: list[dict[str, Any]] = model.generate(prompts, settings=settings, seed=arguments.seed,
                                                stream=lambda text: print_piece("".join([*prefix, text]), prefix))
    print("".join(prefix))
    return rows


def print_steered(arguments: argparse.Namespace, model: Any, prompts: list[str], groups: Mapping[str, Any],
                  reporter: Any) -> int:
    """Unsteered and steered texts side by side, the bags' words in colour on a terminal."""
    import os

    from headstart.generation.steering.comparison import row_text

    rows = model.generate(prompts, settings=groups["generation"], seed=arguments.seed, stop=arguments.stop,
                          steer=arguments.steer, steering=groups["steering"])
    colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    for row in rows:
        if row["cut_tokens"]:
            reporter.info(f"the first {row['cut_tokens']:,} tokens of the prompt do not fit and were left out: "
                          f"{row['prompt'][:60]!r} …")
        print(json.dumps(row, ensure_ascii=False) if arguments.json else row_text(row, colour=colour),
              file=unfiltered(sys.stdout) if colour and not arguments.json else sys.stdout)
    return 0


def print_piece(text: str, prefix: list[str]) -> None:
    """Print a piece of the text as it is generated; the prefix is printed only once."""
    prefix.clear()
    sys.stdout.write(text)
    sys.stdout.flush()


def read_prompts(arguments: argparse.Namespace) -> list[str]:
    """Prompts from the arguments, standard input or a file; raises UserError."""
    if arguments.file is not None:
        from headstart.data.table import open_table
        from headstart.settings import Data

        if arguments.prompts:
            raise UserError("Prompts come as arguments or from --file, not both.", fix="Leave one out.")
        table = open_table(arguments.file, Data())
        column = next((name for name in ("prompt", "text", *table.columns) if name in table.columns), None)
        if column is None:
            raise UserError(f"{arguments.file} has no columns.", fix="Give a file of prompts.")
        index = list(table.columns).index(column)
        return [str(record.values[index]) for record in table]
    if arguments.prompts == ["-"]:
        return [line.rstrip("\n") for line in sys.stdin]
    return list(arguments.prompts) or [""]
