"""`headstart evaluate INDEX QUESTIONS`: what an index finds, and what a writer makes of it."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from headstart.cli import _flags


def run(given: argparse.Namespace) -> int:
    """Measure; prints tables, or JSON."""
    from headstart.retrieval.evaluation.evaluate import Wanted, index_scores
    from headstart.retrieval.index.index import Index
    from headstart.runs.folder import disk_words, write_whole
    from headstart.runs.prepare import choose_device

    own, columns, values = _flags.values(given)
    groups, voice = _flags.groups(values), _flags.voice(given)
    wanted = Wanted(given.writer, given.rerank, given.search_by, given.top, given.calibrate, answer_score=groups["mining"].answer_score)
    place = Path(given.to) if given.to else None
    check(given, place)
    device = choose_device(given.device or own.get("device", "auto"))
    made = index_scores(Index.open(Path(given.model)), given.data, wanted, data=groups["data"], given=columns,
                        evaluation=groups["evaluation"], seed=given.seed, device=device, voice=voice)
    if place is not None:
        with disk_words(place):
            place.mkdir(parents=True, exist_ok=True)
        write_whole(place / "scores.json", json.dumps(made["scores"], ensure_ascii=False, indent=2, allow_nan=False) + "\n")
    print(json.dumps({"scores": made["scores"]}, ensure_ascii=False) if given.json else made["words"])
    return 0


def check(given: argparse.Namespace, place: Path | None) -> None:
    """Refuse what cannot be before anything is measured; scores are never written over. Raises UserError (2, 73)."""
    from headstart.errors import Exit, UserError

    if place is not None and ((place / "scores.json").exists() or (place.exists() and not place.is_dir())):
        raise UserError(f"{place} {'already holds scores.json' if place.is_dir() else 'is a file'}.", exit=Exit.EXISTS,
                        fix="Choose another folder with --to.")
    if not 1 <= given.top <= 50:
        raise UserError(f"--top takes a whole number from 1 to 50, but it is {given.top}.")
    for name in ("task", "preset", "search"):
        if getattr(given, name) is not None or given.all_checkpoints:
            raise UserError(f"--{name if not given.all_checkpoints else 'all-checkpoints'} does not go with an index.", fix="Leave it out.")


def add(parser: argparse.ArgumentParser) -> None:
    """Flags that only an index takes."""
    group: Any = parser.add_argument_group("of an index (MODEL is a folder that headstart index made, DATA are questions with answers)")
    group.add_argument("--writer", metavar="RUN", help="a long-answer run: answers from found and from random passages are measured, too")
    group.add_argument("--rerank", metavar="RUN", help="a re-ranker: a text-classification run on pairs")
    group.add_argument("--search-by", choices=("mixed", "sparse", "dense"),
                       help="the search that the writer's passages are from (default: re-ranked where there is a re-ranker, else mixed)")
    group.add_argument("--top", type=int, default=5, metavar="N", help="passages for each answer (default 5)")
    group.add_argument("--calibrate", action="store_true",
                       help="keep in the index the nearness below which `headstart ask` says that it does not know")
    for name, words in FIELDS.items():
        if f"--{name}" not in parser._option_string_actions:
            group.add_argument(f"--{name}", metavar="COLUMN", dest=f"column_{name}", help=words)


FIELDS: Mapping[str, str] = {"document": "the id of the document that answers the question", "details": "what was said beside the question"}
