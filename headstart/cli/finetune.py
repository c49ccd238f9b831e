"""`headstart finetune TRAIN`: the main job."""

from __future__ import annotations

import argparse
import json

from headstart.cli import _flags

SUMMARY = "read, check, split, train, evaluate, report"


def add(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    parser.add_argument("train", nargs="?", metavar="TRAIN",
                        help="file or folder of training rows, or a hub dataset name")
    parser.add_argument("--dev", metavar="FILE", help="dev rows, which select the checkpoint; else a part of TRAIN")
    parser.add_argument("--test", metavar="FILE", help="test rows, for the final scores only; else a part of TRAIN")
    parser.add_argument("--task", metavar="NAME", help="the task; detected from the columns when clear")
    parser.add_argument("--model", metavar="REF", help="hub name, folder, or pip:PACKAGE; the default follows the task")
    (parser.add_argument("--from-scratch", metavar="CONFIG",
                        help="train from scratch: a config.json, or its folder; --model may name "
                             "the tokenizer's folder"))
    parser.add_argument("--preset", metavar="NAME",
                        help="TRAIN is the folder of a known dataset: glue/cola … glue/wnli, xnli, hans, jigsaw")
    parser.add_argument("--index", metavar="INDEX",
                        help="TRAIN holds questions with answers; mine training rows from them and this index for "
                             "--task retrieval, "
                             "long-answer or text-classification (a re-ranker)")
    parser.add_argument("--to", metavar="RUN", help="the run folder; else named after TRAIN")
    parser.add_argument("--seed", type=int, metavar="N", help="random seed (default 0)")
    parser.add_argument("--strict", action="store_true", default=None,
                        help="warnings about the data stop the run too (exit 65)")
    parser.add_argument("--overwrite", action="store_true", help="replace the run in the folder")
    _flags.add_columns(parser)
    _flags.add_common(parser, training=True)


def run(arguments: argparse.Namespace) -> int:
    """Train, evaluate, report; prints the scores."""
    from headstart.api import finetune

    run_values, columns, values = _flags.read_values(arguments)
    if arguments.preset is not None:
        from headstart.preparation import benchmarks

        benchmarks.apply_preset(arguments.preset, arguments.train or ".", run_values, columns, values)
        arguments.train = None
    for name in ("train", "dev", "test", "task", "model", "from_scratch", "index", "seed", "strict", "allow_pickle",
                 "device"):
        if getattr(arguments, name) is not None:
            run_values[name] = getattr(arguments, name)
    finished_run = finetune.run_finetuning(run_values, columns, values, to=arguments.to, overwrite=arguments.overwrite,
                                           reporter=_flags.make_reporter(arguments))
    print(json.dumps({"run": str(finished_run.path), "scores": finished_run.scores}, ensure_ascii=False)
          if arguments.json
          else finished_run.summary())
    return 0
