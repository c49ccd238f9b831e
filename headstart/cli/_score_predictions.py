"""`headstart evaluate --predictions FILE GOLD`: scores of two files, without a model."""

from __future__ import annotations

import argparse
import json

from headstart.cli import _flags, _help, _results
from headstart.errors import UserError

EXAMPLE = "headstart evaluate --predictions answers.csv gold.csv --task text-classification"
OF_A_MODEL = ("writer", "rerank", "calibrate", "all_checkpoints", "search")


def add(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    parser.add_argument("--predictions", metavar="FILE",
                        help="score these instead of a model's; DATA alone follows. What predict or a run wrote, any "
                             "table with a column of predictions, or SQuAD's predictions.json")
    further = parser.add_argument_group(_help.FURTHER, "of a file of predictions")
    further.add_argument("--prediction", metavar="NAME", help="the column of the predictions (else prediction)")
    further.add_argument("--split", metavar="NAME", help="a split of a run's predictions.jsonl: dev, test …")


def run(arguments: argparse.Namespace) -> int:
    """Score two files; prints the scores."""
    from headstart.evaluation.score_predictions import score_predictions

    if arguments.data is not None:
        raise UserError("With --predictions there is one more file, the labelled one; it got two.", fix=EXAMPLE)
    if flags := [name for name in OF_A_MODEL if getattr(arguments, name)]:
        raise UserError(f"--{flags[0].replace('_', '-')} needs a model, and --predictions has none.", fix=EXAMPLE)
    _, columns, values = _flags.read_values(arguments)
    gold = arguments.model
    if arguments.preset is not None:
        from headstart.preparation import benchmarks

        gold = benchmarks.evaluation_file(arguments.preset, gold, columns, values)
        arguments.task = arguments.task or benchmarks.find_preset(arguments.preset).task
    groups = _flags.build_groups(values)
    scores = score_predictions(
        arguments.predictions, gold, task=arguments.task, columns=columns, column=arguments.prediction,
        task_settings={key.removeprefix("task."): value for key, value in values.items() if key.startswith("task.")},
        split=arguments.split, settings=groups["data"], evaluation=groups["evaluation"], seed=arguments.seed,
        to=arguments.to, reporter=_flags.make_reporter(arguments))
    if arguments.json:
        print(json.dumps({"scores": scores}, ensure_ascii=False))
    else:
        _results.print_scores(scores)
    return 0


def refuse_without_predictions(arguments: argparse.Namespace) -> None:
    """Refuse what makes sense with --predictions alone; raises UserError (2)."""
    if arguments.prediction is not None or arguments.split is not None:
        raise UserError("--prediction and --split are for a file of predictions, and none was given.",
                        fix=EXAMPLE)
    if arguments.data is None:
        raise UserError("evaluate takes a model and a file of labelled rows; it got one of them.",
                        fix=f"headstart evaluate MODEL DATA, or without a model: {EXAMPLE}")
