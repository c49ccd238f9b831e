"""`headstart evaluate MODEL DATA`: scores with intervals on labelled rows."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from headstart.cli import _evaluate_index, _flags, _labels, _results, _score_predictions
from headstart.errors import UserError
from headstart.reports.score_table import checkpoint_table

SUMMARY = "score a model on labelled data, with intervals"


def add(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    parser.add_argument("model", metavar="MODEL", help="run folder, model folder, hub name or pip:PACKAGE")
    parser.add_argument("data", metavar="DATA", nargs="?",
                        help="file of labelled rows; - is standard input, JSON lines")
    _score_predictions.add(parser)
    _flags.add_shared(parser, "--task", "of a model that is not a headstart run")
    _flags.add_shared(parser, "--preset", "DATA is its file or folder: hans, xnli, glue/mnli …")
    _flags.add_shared(parser, "--to", "a folder: scores.json, predictions.jsonl")
    parser.add_argument("--all-checkpoints", action="store_true",
                        help="a table of every checkpoint of MODEL, a run folder")
    parser.add_argument("--search", metavar="GRID",
                        help='tune the decoding of a generative model; try all of '
                             '"num_beams=2,4;length_penalty=0.8,1.2" and keep the best')
    _flags.add_shared(parser, "--seed", "of the bootstrap", default=0)
    _flags.add_shared(parser, "--processes", "each predicts parts of the rows; the scores are the same", default="1")
    _flags.add_shared(parser, "--on")
    _labels.add(parser)
    _flags.add_columns(parser)
    _evaluate_index.add(parser)
    _flags.add_common(parser, reads=("data.", "evaluation.batch_tokens", "evaluation.resamples",
                                     "evaluation.extra_metrics", "evaluation.precision", "model.dtype",
                                     "generation.", "early_exit.", "zero_shot.", "task.", "mining.answer_score"))


def run(arguments: argparse.Namespace) -> int:
    """Evaluate; prints the scores."""
    from headstart.api import model as api

    refuse_processes(arguments)
    if arguments.predictions is not None:
        return _score_predictions.run(arguments)
    _score_predictions.refuse_without_predictions(arguments)
    if (Path(arguments.model) / "index.json").is_file():
        return _evaluate_index.run(arguments)
    if arguments.writer or arguments.rerank or arguments.calibrate:
        raise UserError(f"--writer, --rerank and --calibrate go with an index, but {arguments.model} is none.",
                        fix="Make one: headstart index documents/ --to INDEX")
    run_values, columns, values = _flags.read_values(arguments)
    reporter = _flags.make_reporter(arguments)
    if arguments.preset is not None:
        from headstart.preparation import benchmarks

        arguments.data = benchmarks.evaluation_file(arguments.preset, arguments.data, columns, values)
    groups = _flags.build_groups(values)
    model = api.load(arguments.model, arguments.task, device=arguments.device or run_values.get("device", "auto"),
                     allow_pickle=bool(arguments.allow_pickle), language=groups["data"].language,
                     target_language=groups["data"].target_language, dtype=groups["model"].dtype,
                     **_labels.load_values(arguments, columns, values))
    model.set(_flags.model_settings(values))
    reporter.info(model.summary())
    _labels.tell(model, reporter, is_measured=True)
    _labels.refuse_flags(model, {"--all-checkpoints": arguments.all_checkpoints, "--search": arguments.search})
    if arguments.all_checkpoints:
        rows = model.evaluate_checkpoints(arguments.data, columns=columns, data=groups["data"],
                                          evaluation=groups["evaluation"], seed=arguments.seed, reporter=reporter)
        print(json.dumps({"checkpoints": rows}, ensure_ascii=False) if arguments.json else checkpoint_table(rows))
        return 0
    if arguments.search is not None:
        return search_generation(arguments, model, groups, columns, reporter)
    warn_of_seen_rows(arguments, reporter)
    scores = model.evaluate(arguments.data, to=arguments.to, columns=columns, data=groups["data"],
                            evaluation=groups["evaluation"], seed=arguments.seed, reporter=reporter,
                            processes=_flags.shared_processes(arguments))
    return print_result(scores, as_json=arguments.json)


def refuse_processes(arguments: argparse.Namespace) -> None:
    """Refuse several processes where no file is predicted, or many times; raises UserError (2)."""
    if arguments.predictions is not None:
        _flags.refuse_processes(arguments, "with --predictions nothing is predicted")
    elif (Path(arguments.model) / "index.json").is_file():
        _flags.refuse_processes(arguments, "questions to an index are answered by one process")
    elif arguments.all_checkpoints or arguments.search is not None:
        flag = "--all-checkpoints" if arguments.all_checkpoints else "--search"
        _flags.refuse_processes(arguments, f"{flag} loads one checkpoint after another, in one process")


def print_result(scores: Mapping[str, Any], *, as_json: bool) -> int:
    """The scores as lines or as JSON; the exit code."""
    if as_json:
        print(json.dumps({"scores": scores}, ensure_ascii=False))
    else:
        _results.print_scores(scores)
    return 0


def warn_of_seen_rows(arguments: argparse.Namespace, reporter: Any) -> None:
    """Say that the model was trained on this very file, where its run tells so."""
    from headstart.runs.record import was_trained_on

    if arguments.data is not None and was_trained_on(Path(arguments.model), Path(arguments.data)):
        reporter.warning(f"{arguments.data} is a file that this model was trained on: of rows that it has seen scores "
                         "are far too good; those of rows that it has not seen are in the run's report")


def search_generation(arguments: argparse.Namespace, model: Any, groups: Mapping[str, Any], columns: Mapping[str, str],
                      reporter: Any) -> int:
    """A grid search over generation settings, best first."""
    from headstart.tuning import generation_search

    grid = generation_search.combinations(arguments.search)
    choice = model.choose_precision(groups["evaluation"].precision, scores=True)
    choice.tell(reporter)
    rows = generation_search.search_grid(model.task, model.in_precision(choice.name), arguments.model, arguments.data,
                                         grid, generation=model.generation, settings=groups["data"],
                                         columns=columns, evaluation=groups["evaluation"], seed=arguments.seed,
                                         to=Path(arguments.to or f"{arguments.model.rstrip('/')}-search"),
                                         reporter=reporter)
    print(json.dumps({"search": rows}, ensure_ascii=False) if arguments.json else generation_search.results_table(rows))
    return 0
