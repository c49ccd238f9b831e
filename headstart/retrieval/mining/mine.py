"""Rows to train on, made from questions and an index: hard negatives for a retriever, passages for a writer, pairs for a re-ranker.

Tasks never open an index: what is mined here is a file like any other, kept in the run.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart.contract import Json
from headstart.errors import Exit, UserError
from headstart.progress import Voice
from headstart.retrieval.answering.generator import row as found_row
from headstart.retrieval.documents.passage import Found
from headstart.retrieval.mining.questions import Question
from headstart.retrieval.mining.relevance import Relevance
from headstart.runs.folder import write_whole
from headstart.settings import Mining
from headstart.text.normalise import hash_text, normalised

if TYPE_CHECKING:
    from headstart.retrieval.index.index import Index

TASKS = ("retrieval", "long-answer", "text-classification")
BLOCK = 256  # questions that are searched for at once
RELEVANT, OTHER = "relevant", "other"


@dataclass
class Mined:
    """What was made, and what was not."""

    questions: int = 0
    rows: int = 0
    nowhere: int = 0  # no passage of the index answers it
    filtered: int = 0  # candidates that may be right, and so are no negatives
    lost: list[int] = field(default_factory=list)

    def words(self) -> str:
        """In a sentence or two."""
        found = f"mined {self.rows:,} rows from {self.questions:,} questions"
        if self.filtered:
            found += f"; {self.filtered:,} passages that may answer were kept out of the negatives"
        if self.nowhere:
            found += (f"; left out {self.nowhere:,} questions that no passage of the index answers "
                      f"(first: rows {', '.join(map(str, self.lost[:5]))})")
        return found


def write(index: Index, questions: Sequence[Question], task: str, to: Path, settings: Mining, voice: Voice) -> Mined:
    """Mine a file of rows for a task; it appears whole. Raises UserError (2, 65).

    Every search is exact and every choice a rule, so the same index and questions give the same bytes.
    """
    if task not in TASKS:
        raise UserError(f"An index gives rows for {', '.join(TASKS)}, not for {task}.",
                        fix="Name one of them with --task, or leave --index out.")
    done = Mined(len(questions))
    answering = {} if task == "long-answer" else equal_questions(questions, Relevance(index), settings)  # a writer is given what is found
    lines: list[str] = []
    for begin in range(0, len(questions), BLOCK):
        part = questions[begin:begin + BLOCK]
        lines += [json.dumps(row, ensure_ascii=False) for row in mined(index, part, task, answering, settings, done)]
        voice.progress(min(len(questions), begin + BLOCK), len(questions), "questions mined")
    done.rows = len(lines)
    if not lines:
        raise UserError("No passage of the index answers any of these questions.", exit=Exit.DATA,
                        fix="Index the documents that the answers are from, or name the column of their ids with --document.")
    to.parent.mkdir(parents=True, exist_ok=True)
    write_whole(to, "\n".join(lines) + "\n")
    voice.say(done.words())
    return done


def equal_questions(questions: Sequence[Question], relevance: Relevance, settings: Mining) -> dict[str, set[int]]:
    """The passages that answer each question, wherever it stands: an equal question's passage is never a negative."""
    found: dict[str, set[int]] = {}
    for one in questions:
        found.setdefault(normalised(one.text), set()).update(relevance.rows(one, answer_score=settings.answer_score))
    return found


def mined(index: Index, questions: Sequence[Question], task: str, answering: Mapping[str, set[int]], settings: Mining,
          done: Mined) -> Iterator[dict[str, Json]]:
    """The rows of some questions."""
    texts = [one.text for one in questions]
    if task == "long-answer":
        for one, listed in zip(questions, index.search(texts, k=settings.passages), strict=True):
            yield answered(one, listed)
        return
    dense: list[list[Found]] = [[] for _ in texts]
    sparse = index.search(texts, source="sparse", k=settings.depth)
    if index.has_vectors:
        dense = index.search(texts, source="dense", k=settings.depth)
    for one, by_words, by_vectors in zip(questions, sparse, dense, strict=True):
        right = answering[normalised(one.text)]
        if not right:
            done.nowhere += 1
            done.lost.append(one.row)
            continue
        best = positives(one, right, by_words, by_vectors, settings)
        wrong = negatives(index, right, by_words, by_vectors, settings, done)
        if task == "text-classification":  # a re-ranker sees all that a search lists, not its first places alone
            yield from paired(index, one, best, spread(wrong, settings.negatives))
        else:
            yield retrieved(index, one, best, wrong[:settings.negatives])


def positives(question: Question, right: set[int], by_words: Sequence[Found], by_vectors: Sequence[Found], settings: Mining) -> list[int]:
    """The right passages to learn, those first that a search finds first."""
    order: dict[int, int] = {}
    for place, one in sorted(((place, one.row) for listed in (by_words, by_vectors) for place, one in enumerate(listed))):
        order.setdefault(one, place)
    return sorted(right, key=lambda row: (order.get(row, 10**9), row))[:settings.positives]


def negatives(index: Index, right: set[int], by_words: Sequence[Found], by_vectors: Sequence[Found], settings: Mining,
              done: Mined) -> list[int]:
    """All passages listed that words or vectors take for right and that are not: in turn from both searches, best first.

    What says the same as a right passage is none, nor what lies almost as near to the question as the nearest right one
    (Moreira et al. 2024, NV-Retriever, section 3.3): it may answer, too.
    """
    same = {hash_text(normalised(index.passages[row].text)) for row in right}
    nearest = max((one.score for one in by_vectors if one.row in right), default=None)
    likely = {one.row for one in by_vectors if nearest is not None and one.score >= settings.margin * nearest}
    found: dict[int, None] = {}
    for place in range(max(len(by_words), len(by_vectors))):
        for listed in (by_words, by_vectors):
            if place >= len(listed) or (row := listed[place].row) in right or row in found:
                continue
            if row in likely or hash_text(normalised(listed[place].passage.text)) in same:
                done.filtered += 1
                continue
            found[row] = None
    return list(found)


def spread(rows: Sequence[int], count: int) -> list[int]:
    """So many of the rows, evenly from the first to the last."""
    if len(rows) <= count:
        return list(rows)
    return [rows[round(place * (len(rows) - 1) / max(1, count - 1))] for place in range(count)]


def retrieved(index: Index, question: Question, right: Sequence[int], wrong: Sequence[int]) -> dict[str, Json]:
    """A row of the task retrieval."""
    texts = [index.subject(row) for row in right]
    return {"question": question.text, "passage": texts[0], "answers": [{"text": text, "score": 10} for text in texts[1:]],
            "negatives": [index.subject(row) for row in wrong]}


def paired(index: Index, question: Question, right: Sequence[int], wrong: Sequence[int]) -> Iterator[dict[str, Json]]:
    """Rows of a re-ranker: a question with a passage, and whether it answers."""
    for rows, label in ((right, RELEVANT), (wrong, OTHER)):
        for row in rows:
            yield {"text": question.text, "pair": index.subject(row), "label": label}


def answered(question: Question, listed: Sequence[Found]) -> dict[str, Json]:
    """A row of the task long-answer: what the retriever finds, right or not, as it will be when the writer is asked."""
    answers: list[dict[str, Any]] = [{"text": text} | ({} if score is None else {"score": score})
                                     for text, score in zip(question.answers, question.scores, strict=True)]
    row: dict[str, Json] = {"question": question.text, "details": question.details, "answers": answers,
                            "passages": [found_row(one) for one in listed]}
    return row | ({} if question.document is None else {"document": question.document})


def sha256(path: Path) -> str:
    """The hash of a mined file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
