"""A run on rows that are mined from an index: made once, kept in the run with their hash, read from there ever after.
"""

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
from headstart.files import sha256, write_text
from headstart.progress import Reporter
from headstart.retrieval.index.index import Index
from headstart.retrieval.mining import mine
from headstart.retrieval.mining.questions import Question, read_questions
from headstart.settings import Mining
from headstart.settings.run_settings import RunSettings
from headstart.text.normalise import normalise_text

FILES = {"train": "mined.jsonl", "dev": "mined-dev.jsonl", "test": "mined-test.jsonl"}


def split_questions(questions_by_split: Mapping[str, Sequence[Question]],
                    settings: RunSettings) -> dict[str, Sequence[Question]]:
    """Training questions as train, dev and (where none is given) test, equal questions in one split; raises UserError
    (78).
    """
    texts = sorted({normalise_text(question.text) for question in questions_by_split["train"]})
    random.Random(f"{settings.seed}:mined splits").shuffle(texts)
    shares = parse_shares(settings.data.split)
    has_test = "test" in questions_by_split
    names, cut_shares = (("train", "dev"), (1 - shares[1], shares[1])) if has_test else (("train", "dev", "test"),
                                                                                         shares)
    ends = [round(len(texts) * sum(cut_shares[:index + 1])) for index in range(len(names))]
    split_of = {text: next(name for name, end in zip(names, ends, strict=True) if index < end)
                for index, text in enumerate(texts)}
    splits = {name: [question for question in questions_by_split["train"]
                     if split_of[normalise_text(question.text)] == name]
              for name in names}
    return {**{name: questions for name, questions in splits.items() if questions},
            **{name: questions for name, questions in questions_by_split.items() if name == "test"}}


def row_miner(settings: RunSettings, reporter: Reporter) -> Callable[[Path, RunSettings], RunSettings]:
    """A function that mines rows into a run's folder and returns the settings to train on them; raises UserError (2,
    65, 66).
    """
    if settings.task not in mine.TASKS:
        raise UserError(f"--index makes rows for --task {', --task '.join(mine.TASKS)}, but the task is "
                        f"{settings.task or 'not named'}.",
                        fix="Name one of them with --task: retrieval trains the search, long-answer the writer, "
                            "text-classification a re-ranker.")
    task, index = settings.task, Index.open(Path(settings.index or ""))
    paths = {split: path for split in FILES if (path := getattr(settings, split)) is not None}
    questions_by_split: dict[str, Sequence[Question]] = {split: read_questions(path, settings.data, settings.columns)
                                                         for split, path in paths.items()}
    # a question makes several pairs: all of them stand in one split
    if task == "text-classification" and "dev" not in questions_by_split:
        questions_by_split = split_questions(questions_by_split, settings)

    def mine_into(folder: Path, run_settings: RunSettings) -> RunSettings:
        files: dict[str, Json] = {}
        mined_paths: dict[str, Any] = {}
        for split, questions in questions_by_split.items():
            name = FILES[split]
            reporter.info(f"{split}: {len(questions):,} questions")
            report = mine.mine_file(index, questions, task, folder / name, run_settings.mining, reporter)
            files[split] = {"from": getattr(run_settings, split) or run_settings.train, "rows": report.rows,
                            "questions": report.questions,
                            "without_passage": report.without_passage, "sha256": sha256(folder / name)}
            mined_paths[split] = str((folder / name).resolve())
        record = {"index": run_settings.index, "model": index.identity, "version": index.manifest["version"],
                  "task": task, "files": files, "settings": vars(run_settings.mining)}
        write_text(folder / "mined.json", json.dumps(record, ensure_ascii=False, indent=2) + "\n")
        # Whoever repeats the run takes these rows: the index may have changed by then.
        return dataclasses.replace(run_settings, index=None, columns={}, mining=Mining(), **mined_paths)

    return mine_into
