"""`headstart distil TEACHER TRAIN`: a smaller model out of a trained one."""

from __future__ import annotations

import argparse
import json

from headstart.cli import _flags
from headstart.errors import Exit, UserError

SUMMARY = "a smaller, faster student of a trained model"


def add(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    parser.add_argument("teacher", nargs="?", metavar="TEACHER",
                        help="a run folder, or a model that was trained for a task")
    parser.add_argument("train", nargs="?", metavar="TRAIN",
                        help="file or folder of training rows: the teacher's own, or more")
    parser.add_argument("--dev", metavar="FILE", help="dev rows, which select the checkpoint; else a part of TRAIN")
    parser.add_argument("--test", metavar="FILE", help="test rows, for the final scores only; else a part of TRAIN")
    parser.add_argument("--task", metavar="NAME", help="the task of a published teacher, where its config leaves it "
                                                       "open")
    parser.add_argument("--student", metavar="REF", help="another pretrained model with the teacher's tokenizer, "
                        "instead of the teacher's layers")
    parser.add_argument("--layers", metavar="N", help="the same as --set distil.layers=…")
    parser.add_argument("--to", metavar="RUN", help="the run folder; else named after TRAIN")
    parser.add_argument("--seed", type=int, metavar="N", help="random seed (default 0)")
    parser.add_argument("--strict", action="store_true", default=None,
                        help="warnings about the data stop the run too (exit 65)")
    parser.add_argument("--overwrite", action="store_true", help="replace the run in the folder")
    _flags.add_columns(parser)
    _flags.add_common(parser, training=True)


def run(arguments: argparse.Namespace) -> int:
    """Shrink, train, compare with the teacher; prints the scores and the comparison."""
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
    finished_run = finetune.run_finetuning(run_values, columns, values, to=arguments.to, overwrite=arguments.overwrite,
                                           reporter=_flags.make_reporter(arguments))
    print(json.dumps({"run": str(finished_run.path), "scores": finished_run.scores}, ensure_ascii=False)
          if arguments.json
          else finished_run.summary())
    return 0
