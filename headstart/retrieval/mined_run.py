"""A run on rows that are mined from an index: made once, kept in the run with their hash, read from there ever after."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from headstart.contract import Json
from headstart.errors import UserError
from headstart.retrieval import mining
from headstart.retrieval.index import Index
from headstart.retrieval.questions import read_questions
from headstart.runs.folder import write_whole
from headstart.runs.request import Request
from headstart.runs.voice import Voice

FILES = {"train": "mined.jsonl", "dev": "mined-dev.jsonl", "test": "mined-test.jsonl"}


def before(asked: Request, voice: Voice) -> Callable[[Path, Request], Request]:
    """What makes the rows in a run's folder, and gives the request to train on them; raises UserError (2) for another task."""
    if asked.task not in mining.TASKS:
        raise UserError(f"--index makes rows for --task {', --task '.join(mining.TASKS)}, but the task is {asked.task or 'not named'}.",
                        fix="Name one of them with --task: retrieval trains the search, long-answer the writer, text-classification "
                            "a re-ranker.")
    task = asked.task

    def made(folder: Path, request: Request) -> Request:
        index = Index.open(Path(request.index or ""))
        told: dict[str, Json] = {}
        changed: dict[str, Any] = {}
        for split, name in FILES.items():
            path = getattr(request, split)
            if path is None:
                continue
            questions = read_questions(path, request.data, request.columns)
            voice.say(f"{split}: {len(questions):,} questions from {path}")
            done = mining.write(index, questions, task, folder / name, request.mining, voice)
            told[split] = {"from": path, "rows": done.rows, "questions": done.questions, "without_passage": done.nowhere,
                                    "sha256": mining.sha256(folder / name)}
            changed[split] = str((folder / name).resolve())
        about = {"index": request.index, "model": index.identity, "version": index.facts["version"], "task": task, "files": told}
        write_whole(folder / "mined.json", json.dumps(about, ensure_ascii=False, indent=2) + "\n")
        # Whoever repeats the run takes these rows: the index may have changed by then.
        return dataclasses.replace(request, index=None, columns={}, **changed)

    return made
