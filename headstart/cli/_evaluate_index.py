"""`headstart evaluate INDEX QUESTIONS`: how well an index retrieves, and how well a generator answers from it."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from headstart.cli import _flags
from headstart.errors import Exit, UserError


def run(arguments: argparse.Namespace) -> int:
    """Evaluate; prints tables, or JSON."""
    from headstart.files import disk_errors, write_text
    from headstart.models.loading.device import choose_device
    from headstart.models.precision_choice import choose_evaluation_precision
    from headstart.retrieval.evaluation.evaluate import EvaluateOptions, evaluate_index
    from headstart.retrieval.index.index import Index

    run_values, columns, values = _flags.read_values(arguments)
    groups, reporter = _flags.build_groups(values), _flags.make_reporter(arguments)
    options = EvaluateOptions(arguments.writer, arguments.rerank, arguments.retrieval, arguments.top,
                              arguments.calibrate, answer_score=groups["mining"].answer_score)
    folder = Path(arguments.to) if arguments.to else None
    check_arguments(arguments, folder)
    if groups["evaluation"].extra_metrics and arguments.writer is None:
        raise UserError("evaluation.extra_metrics compares written answers, but no --writer is named.",
                        fix="Leave it out, or name a long-answer model: --writer RUN", exit=Exit.SETTINGS)
    device = choose_device(arguments.device or run_values.get("device", "auto"))
    choice = choose_evaluation_precision(groups["evaluation"].precision, device, scores=True)
    choice.tell(reporter)
    index = Index.open(Path(arguments.model), device=device, precision=choice.name)
    evaluation = evaluate_index(index, arguments.data, options, data=groups["data"],
                                columns=columns,
                                evaluation=groups["evaluation"], seed=arguments.seed, device=device, reporter=reporter)
    if folder is not None:
        with disk_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
        write_text(folder / "scores.json", json.dumps(evaluation["scores"], ensure_ascii=False, indent=2,
                                                      allow_nan=False) + "\n")
    print(json.dumps({"scores": evaluation["scores"]}, ensure_ascii=False) if arguments.json else evaluation["words"])
    return 0


def check_arguments(arguments: argparse.Namespace, folder: Path | None) -> None:
    """Refuse impossible arguments before anything is evaluated; scores are never overwritten. Raises UserError (2, 73).
    """
    if folder is not None and ((folder / "scores.json").exists() or (folder.exists() and not folder.is_dir())):
        raise UserError(f"{folder} {'already holds scores.json' if folder.is_dir() else 'is a file'}.",
                        exit=Exit.EXISTS, fix="Choose another folder with --to.")
    if not 1 <= arguments.top <= 50:
        raise UserError(f"--top takes a whole number from 1 to 50, but it is {arguments.top}.")
    for name in ("task", "preset", "search"):
        if getattr(arguments, name) is not None or arguments.all_checkpoints:
            flag = "all-checkpoints" if arguments.all_checkpoints else name
            raise UserError(f"--{flag} does not go with an index.", fix="Leave it out.")


def add(parser: argparse.ArgumentParser) -> None:
    """Flags that only an index takes."""
    group: Any = parser.add_argument_group("where MODEL is an index, and DATA are questions with answers")
    _flags.add_shared(group, "--writer", "its answers from retrieved and from random passages are evaluated")
    _flags.add_shared(group, "--rerank")
    _flags.add_shared(group, "--retrieval", "for the writer's passages (else re-ranked if there is a re-ranker, else "
                                            "mixed)", choices=("mixed", "sparse", "dense"))
    _flags.add_shared(group, "--top", "5 when not given", default=5)
    group.add_argument("--calibrate", action="store_true",
                       help="store the score below which `headstart ask` abstains")
