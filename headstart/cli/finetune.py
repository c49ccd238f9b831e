"""`headstart finetune TRAIN`: the main job."""

from __future__ import annotations

import argparse
import json

from headstart.cli import _flags

SUMMARY = "read, check, split, train, evaluate, report"


def add(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    parser.add_argument("train", nargs="?", metavar="TRAIN", help="file or folder of training rows, or a hub dataset name")
    parser.add_argument("--dev", metavar="FILE", help="rows that choose the checkpoint; else a part of TRAIN")
    parser.add_argument("--test", metavar="FILE", help="rows that only the final score sees; else a part of TRAIN")
    parser.add_argument("--task", metavar="NAME", help="what the file is for; found from its columns when clear")
    parser.add_argument("--model", metavar="REF", help="hub name, folder, or pip:PACKAGE; the default follows the task")
    parser.add_argument("--from-scratch", metavar="CONFIG",
                        help="draw all weights from the seed: a config.json, or its folder; --model may name the tokenizer's folder")
    parser.add_argument("--preset", metavar="NAME",
                        help="TRAIN is the folder of a dataset known by name: glue/cola … glue/wnli, xnli, hans, jigsaw")
    parser.add_argument("--index", metavar="INDEX",
                        help="TRAIN holds questions with answers; make rows from them and an index for --task retrieval, long-answer "
                             "or text-classification (a re-ranker)")
    parser.add_argument("--to", metavar="RUN", help="the run folder; else named after TRAIN")
    parser.add_argument("--seed", type=int, metavar="N", help="of everything that is drawn (default 0)")
    parser.add_argument("--strict", action="store_true", default=None, help="warnings about the data end the run too (65)")
    parser.add_argument("--overwrite", action="store_true", help="replace the run in the folder")
    _flags.columns(parser)
    _flags.common(parser, training=True)


def run(given: argparse.Namespace) -> int:
    """Train, evaluate, report; prints the scores."""
    from headstart.api import model

    own, columns, values = _flags.values(given)
    if given.preset is not None:
        from headstart.preparation import benchmarks

        benchmarks.apply(given.preset, given.train or ".", own, columns, values)
        given.train = None
    for name in ("train", "dev", "test", "task", "model", "from_scratch", "index", "seed", "strict", "allow_pickle", "device"):
        if getattr(given, name) is not None:
            own[name] = getattr(given, name)
    done = model.finetune_request(own, columns, values, to=given.to, overwrite=given.overwrite, voice=_flags.voice(given))
    print(json.dumps({"run": str(done.path), "scores": done.scores}, ensure_ascii=False) if given.json else done.words())
    return 0
