"""A run on rows that are mined from an index: made once, kept in the run with their hash, read from there ever after."""

from __future__ import annotations

import dataclasses
import json
import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from headstart.contract import Json
from headstart.data.splits import parse_shares
from headstart.errors import UserError
from headstart.progress import Voice
from headstart.retrieval.index.index import Index
from headstart.retrieval.mining import mine
from headstart.retrieval.mining.questions import Question, read_questions
from headstart.runs.folder import write_whole
from headstart.runs.run_config import Request
from headstart.text.normalise import normalised

FILES = {"train": "mined.jsonl", "dev": "mined-dev.jsonl", "test": "mined-test.jsonl"}


def parted(asked_of: Mapping[str, Sequence[Question]], asked: Request) -> dict[str, Sequence[Question]]:
    """Training questions as train, dev and (where none is given) test, equal questions on one side; raises UserError (78)."""
    texts = sorted({normalised(one.text) for one in asked_of["train"]})
    random.Random(f"{asked.seed}:mined splits").shuffle(texts)
    shares = parse_shares(asked.data.split)
    names, cut = (("train", "dev", "test"), shares) if "test" not in asked_of else (("train", "dev"), (1 - shares[1], shares[1]))
    ends = [round(len(texts) * sum(cut[:place + 1])) for place in range(len(names))]
    side = {text: next(name for name, end in zip(names, ends, strict=True) if place < end) for place, text in enumerate(texts)}
    found = {name: [one for one in asked_of["train"] if side[normalised(one.text)] == name] for name in names}
    return {**{name: held for name, held in found.items() if held}, **{name: held for name, held in asked_of.items() if name == "test"}}


def before(asked: Request, voice: Voice) -> Callable[[Path, Request], Request]:
    """What makes the rows in a run's folder, and gives the request to train on them; raises UserError (2, 65, 66)."""
    if asked.task not in mine.TASKS:
        raise UserError(f"--index makes rows for --task {', --task '.join(mine.TASKS)}, but the task is {asked.task or 'not named'}.",
                        fix="Name one of them with --task: retrieval trains the search, long-answer the writer, text-classification "
                            "a re-ranker.")
    task, index = asked.task, Index.open(Path(asked.index or ""))
    given = {split: path for split in FILES if (path := getattr(asked, split)) is not None}
    asked_of: dict[str, Sequence[Question]] = {split: read_questions(path, asked.data, asked.columns) for split, path in given.items()}
    if task == "text-classification" and "dev" not in asked_of:  # a question makes several pairs: all of them stand in one split
        asked_of = parted(asked_of, asked)

    def made(folder: Path, request: Request) -> Request:
        told: dict[str, Json] = {}
        changed: dict[str, Any] = {}
        for split, questions in asked_of.items():
            name = FILES[split]
            voice.say(f"{split}: {len(questions):,} questions")
            done = mine.write(index, questions, task, folder / name, request.mining, voice)
            told[split] = {"from": getattr(request, split) or request.train, "rows": done.rows, "questions": done.questions,
                           "without_passage": done.nowhere, "sha256": mine.sha256(folder / name)}
            changed[split] = str((folder / name).resolve())
        about = {"index": request.index, "model": index.identity, "version": index.facts["version"], "task": task, "files": told}
        write_whole(folder / "mined.json", json.dumps(about, ensure_ascii=False, indent=2) + "\n")
        # Whoever repeats the run takes these rows: the index may have changed by then.
        return dataclasses.replace(request, index=None, columns={}, **changed)

    return made
