"""`headstart distil TEACHER TRAIN`: a smaller model out of a trained one."""

from __future__ import annotations

import argparse
import json

from headstart.cli import _flags
from headstart.errors import Exit, UserError

SUMMARY = "a smaller, quicker student of a trained model"


def add(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    parser.add_argument("teacher", nargs="?", metavar="TEACHER", help="a run folder, or a model that was trained for a task")
    parser.add_argument("train", nargs="?", metavar="TRAIN", help="file or folder of training rows: the teacher's own, or more")
    parser.add_argument("--dev", metavar="FILE", help="rows that choose the checkpoint; else a part of TRAIN")
    parser.add_argument("--test", metavar="FILE", help="rows that only the final score sees; else a part of TRAIN")
    parser.add_argument("--task", metavar="NAME", help="what a published teacher is for, where its config leaves it open")
    parser.add_argument("--student", metavar="REF", help="another pretrained model with the teacher's tokenizer, in the place of the "
                        "teacher's own layers")
    parser.add_argument("--layers", metavar="N", help="the same as --set distil.layers=…")
    parser.add_argument("--to", metavar="RUN", help="the run folder; else named after TRAIN")
    parser.add_argument("--seed", type=int, metavar="N", help="of everything that is drawn (default 0)")
    parser.add_argument("--strict", action="store_true", default=None, help="warnings about the data end the run too (65)")
    parser.add_argument("--overwrite", action="store_true", help="replace the run in the folder")
    _flags.columns(parser)
    _flags.common(parser, training=True)


def run(given: argparse.Namespace) -> int:
    """Cut, train, compare with the teacher; prints the scores and the comparison."""
    from headstart.api import model

    own, columns, values = _flags.values(given)
    for name in ("teacher", "train", "dev", "test", "task", "seed", "strict", "allow_pickle", "device"):
        if getattr(given, name) is not None:
            own[name] = getattr(given, name)
    if given.student is not None:
        own["model"] = given.student
    if given.layers is not None:
        values["distil.layers"] = given.layers
    if given.settings and given.teacher is not None:  # another teacher than the file's
        own.pop("teacher_sum", None)
    if not own.get("teacher") or not own.get("train"):
        raise UserError("distil takes a teacher and training rows.", fix="For example: headstart distil reviews-run reviews.csv --layers 3",
                        exit=Exit.USAGE)
    done = model.finetune_request(own, columns, values, to=given.to, overwrite=given.overwrite, voice=_flags.voice(given))
    print(json.dumps({"run": str(done.path), "scores": done.scores}, ensure_ascii=False) if given.json else done.words())
    return 0
