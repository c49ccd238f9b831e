"""`headstart evaluate MODEL DATA`: scores with intervals on labelled rows."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from headstart.cli import _evaluate_index, _flags
from headstart.errors import UserError
from headstart.reports.score_table import checkpoint_table, score_table

SUMMARY = "scores with intervals on labelled data"


def add(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    parser.add_argument("model", metavar="MODEL", help="run folder, model folder, hub name or pip:PACKAGE")
    parser.add_argument("data", metavar="DATA", help="file of labelled rows; - is standard input, JSON lines")
    parser.add_argument("--task", metavar="NAME", help="of a model that is no run of ours")
    parser.add_argument("--preset", metavar="NAME",
                        help="DATA is a file of, or the folder of, a dataset known by name: hans, xnli, glue/mnli …")
    parser.add_argument("--to", metavar="FOLDER", help="also write scores.json and predictions.jsonl there")
    parser.add_argument("--all-checkpoints", action="store_true", help="a table of every checkpoint that MODEL, a run folder, has kept")
    parser.add_argument("--search", metavar="GRID",
                        help='of a model that writes: try all of "beams=2,4;length_penalty=0.8,1.2" and keep the best')
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the resamples")
    _flags.columns(parser)
    _evaluate_index.add(parser)
    _flags.common(parser, training=False, groups=("data.", "evaluation.", "mining."))


def run(given: argparse.Namespace) -> int:
    """Evaluate; prints the scores."""
    from headstart.api import model as api

    if (Path(given.model) / "index.json").is_file():
        return _evaluate_index.run(given)
    if given.writer or given.rerank or given.calibrate:
        raise UserError(f"--writer, --rerank and --calibrate go with an index, but {given.model} is none.",
                        fix="Make one: headstart index documents/ --to INDEX")
    own, columns, values = _flags.values(given)
    voice = _flags.voice(given)
    if given.preset is not None:
        from headstart.preparation import benchmarks

        given.data = benchmarks.measured(given.preset, given.data, columns, values)
    groups = _flags.groups(values)
    model = api.load(given.model, given.task, device=given.device or own.get("device", "auto"),
                     allow_pickle=bool(given.allow_pickle), language=groups["data"].language,
                     target_language=groups["data"].target_language)
    model.set({key: value for key, value in values.items() if key.startswith(("task.", "generation."))})
    voice.say(model.words())
    if given.all_checkpoints:
        rows = model.evaluate_checkpoints(given.data, columns=columns, data=groups["data"], evaluation=groups["evaluation"],
                                          seed=given.seed, voice=voice)
        print(json.dumps({"checkpoints": rows}, ensure_ascii=False) if given.json else checkpoint_table(rows))
        return 0
    if given.search is not None:
        return searched(given, model, groups, columns, voice)
    scores = model.evaluate(given.data, to=given.to, columns=columns, data=groups["data"],
                            evaluation=groups["evaluation"], seed=given.seed, voice=voice)
    print(json.dumps({"scores": scores}, ensure_ascii=False) if given.json else score_table(scores))
    return 0


def searched(given: argparse.Namespace, model: Any, groups: Mapping[str, Any], columns: Mapping[str, str], voice: Any) -> int:
    """A grid over settings of writing, best first."""
    from headstart.prediction import generation_search

    rows = generation_search.search(model.task, model.loaded, given.model, given.data, generation_search.combinations(given.search), settings=groups["data"],
                       given=columns, evaluation=groups["evaluation"], seed=given.seed,
                       to=Path(given.to or f"{given.model.rstrip('/')}-search"), voice=voice)
    print(json.dumps({"search": rows}, ensure_ascii=False) if given.json else generation_search.table(rows))
    return 0
