"""`headstart finetune TRAIN`: the main job."""

from __future__ import annotations

import argparse
from functools import partial
from typing import TYPE_CHECKING, Any

from headstart.cli import _flags, _launch
from headstart.errors import UserError
from headstart.progress import Reporter
from headstart.training.distributed import World

if TYPE_CHECKING:
    from headstart.api.finetune import Run

SUMMARY = "train a model on your file: read, check, split, train, evaluate, report"


def add(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    parser.add_argument("train", nargs="*", metavar="TRAIN",
                        help="file or folder of training rows, or a hub dataset; of several files all rows are trained "
                             "on together")
    _flags.add_shared(parser, "--dev", "they select the checkpoint (else from TRAIN)")
    _flags.add_shared(parser, "--test", "for the final scores (else from TRAIN)")
    _flags.add_shared(parser, "--task", "detected from the columns when clear")
    _flags.add_shared(parser, "--model", "hub name, folder or pip:PACKAGE")
    parser.add_argument("--from-scratch", metavar="JSON",
                        help="train from scratch: a config.json, or its folder; --model may name the tokenizer's")
    _flags.add_shared(parser, "--preset", "TRAIN is its folder: glue/cola …")
    parser.add_argument("--index", metavar="INDEX",
                        help="mine training rows from this index; TRAIN holds questions with answers (for retrieval, "
                             "long-answer and text-classification)")
    _flags.add_shared(parser, "--to", "else named after TRAIN")
    _flags.add_shared(parser, "--seed", "0 when not given")
    _flags.add_shared(parser, "--strict")
    _flags.add_shared(parser, "--overwrite", "without --to TRAIN-run")
    _launch.add(parser)
    _flags.add_columns(parser)
    _flags.add_common(parser, reads=("data.", "training.", "adapter.", "early_exit.", "evaluation.", "model.",
                                     "generation.", "mining.", "task."))


def run(arguments: argparse.Namespace) -> int:
    """Train, evaluate, report; prints the scores."""
    return _launch.train(arguments, partial(make_run, arguments))


def make_run(arguments: argparse.Namespace, world: World, reporter: Reporter) -> Run:
    """The run of these arguments; raises UserError."""
    from headstart.api import finetune

    run_values, columns, values = _flags.read_values(arguments)
    take_training_files(arguments, run_values)
    preset_note = ""
    if arguments.preset is not None:
        from headstart.preparation import benchmarks

        preset_note = benchmarks.apply_preset(arguments.preset, arguments.train or ".", run_values, columns, values)
        arguments.train = None
    for name in ("train", "dev", "test", "task", "model", "from_scratch", "index", "seed", "strict", "allow_pickle",
                 "device"):
        if getattr(arguments, name) is not None:
            run_values[name] = getattr(arguments, name)
    if preset_note:
        reporter.info(preset_note)
    return finetune.run_finetuning(run_values, columns, values, to=arguments.to, overwrite=arguments.overwrite,
                                   reporter=reporter, world=world)


def take_training_files(arguments: argparse.Namespace, run_values: dict[str, Any]) -> None:
    """The first training file as `train`, more of them as `further_train`; raises UserError (2)."""
    first, *further = arguments.train or [None]
    if further and (arguments.preset is not None or arguments.index is not None):
        flag = "--preset" if arguments.preset is not None else "--index"
        raise UserError(f"{flag} goes with one training file or folder; there are {1 + len(further)}.",
                        fix="Leave out the others.")
    if further and "-" in arguments.train:
        raise UserError("Of several training files none can be standard input.", fix="Write it to a file first.")
    arguments.train = first
    if first is not None:
        run_values["further_train"] = further or None
