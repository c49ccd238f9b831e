"""`headstart distil TEACHER TRAIN`: a smaller model out of a trained one."""

from __future__ import annotations

import argparse
from functools import partial
from typing import TYPE_CHECKING

from headstart.cli import _flags, _launch
from headstart.errors import Exit, UserError
from headstart.progress import Reporter
from headstart.training.distributed import World

if TYPE_CHECKING:
    from headstart.api.finetune import Run

SUMMARY = "train a smaller, faster student of a trained model"


def add(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    parser.add_argument("teacher", nargs="?", metavar="TEACHER",
                        help="a run folder, or a model that was trained for a task")
    parser.add_argument("train", nargs="?", metavar="TRAIN",
                        help="file or folder of training rows: the teacher's own, or more")
    _flags.add_shared(parser, "--dev", "they select the checkpoint (else from TRAIN)")
    _flags.add_shared(parser, "--test", "for the final scores (else from TRAIN)")
    _flags.add_shared(parser, "--task", "of a published teacher, where its config leaves it open")
    parser.add_argument("--student", metavar="REF",
                        help="another pretrained model as the student; it has the teacher's tokenizer (else the "
                             "student is made of the teacher's layers)")
    parser.add_argument("--layers", metavar="N|LIST",
                        help="the teacher's layers that the student keeps; the same as --set distil.layers=…")
    _flags.add_shared(parser, "--to", "else named after TRAIN")
    _flags.add_shared(parser, "--seed", "0 when not given")
    _flags.add_shared(parser, "--strict")
    _flags.add_shared(parser, "--overwrite", "without --to TRAIN-run")
    _launch.add(parser)
    _flags.add_columns(parser)
    _flags.add_common(parser, reads=("data.", "training.", "evaluation.", "generation.", "model.", "distil.",
                                     "task."))


def run(arguments: argparse.Namespace) -> int:
    """Shrink, train, compare with the teacher; prints the scores and the comparison."""
    return _launch.train(arguments, partial(make_run, arguments))


def make_run(arguments: argparse.Namespace, world: World, reporter: Reporter) -> Run:
    """The run of these arguments; raises UserError."""
    from headstart.api import finetune

    run_values, columns, values = _flags.read_values(arguments)
    for name in ("teacher", "train", "dev", "test", "task", "seed", "strict", "allow_pickle", "device"):
        if getattr(arguments, name) is not None:
            run_values[name] = getattr(arguments, name)
    if arguments.student is not None:
        run_values["model"] = arguments.student
    if arguments.layers is not None:
        values["distil.layers"] = arguments.layers
    if arguments.settings and arguments.teacher is not None:  # another teacher than the file's
        run_values.pop("teacher_sum", None)
    if not run_values.get("teacher") or not run_values.get("train"):
        raise UserError("distil takes a teacher and training rows.",
                        fix="For example: headstart distil reviews-run reviews.csv --layers 3", exit=Exit.USAGE)
    return finetune.run_finetuning(run_values, columns, values, to=arguments.to, overwrite=arguments.overwrite,
                                   reporter=reporter, world=world)
