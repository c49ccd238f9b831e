"""Rows to train on, mined from questions and an index: hard negatives for a retriever, passages for a generator, pairs
for a re-ranker.

Tasks never open an index: what is mined here is a file like any other, kept in the run.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart.contract import Json
from headstart.errors import Exit, UserError
from headstart.files import write_text
from headstart.progress import Reporter
from headstart.retrieval.answering.generator import passage_row
from headstart.retrieval.documents.passage import ScoredPassage
from headstart.retrieval.mining.questions import Question
from headstart.retrieval.mining.relevance import Relevance
from headstart.settings import Mining
from headstart.text.normalise import hash_text, normalise_text

if TYPE_CHECKING:
    from headstart.retrieval.index.index import Index

TASKS = ("retrieval", "long-answer", "text-classification")
BLOCK = 256  # questions that are searched for at once
RELEVANT, IRRELEVANT = "relevant", "other"


@dataclass
class MiningReport:
    """How many rows were mined, and what was skipped."""

    questions: int = 0
    rows: int = 0
    without_passage: int = 0  # no passage of the index answers it
    filtered: int = 0  # candidates that may be right, and so are no negatives
    skipped_rows: list[int] = field(default_factory=list)

    def summary(self) -> str:
        """The counts in a sentence or two."""
        text = f"mined {self.rows:,} rows from {self.questions:,} questions"
        if self.filtered:
            text += f"; {self.filtered:,} possible false negatives were excluded"
        if self.without_passage:
            text += (f"; skipped {self.without_passage:,} questions that no passage of the index answers "
                     f"(first: rows {', '.join(map(str, self.skipped_rows[:5]))})")
        return text


def mine_file(index: Index, questions: Sequence[Question], task: str, to: Path, settings: Mining,
              reporter: Reporter) -> MiningReport:
    """Mine a file of rows for a task; it appears whole. Raises UserError (2, 65).

    Every search is exact and every choice a rule, so the same index and questions give the same bytes.
    """
    if task not in TASKS:
        raise UserError(f"An index gives rows for {', '.join(TASKS)}, not for {task}.",
                        fix="Name one of them with --task, or leave --index out.")
    report = MiningReport(len(questions))
    # A generator is given what is found, relevant or not.
    answering_rows = {} if task == "long-answer" else relevant_by_question(questions, Relevance(index), settings)
    lines: list[str] = []
    for start in range(0, len(questions), BLOCK):
        batch = questions[start:start + BLOCK]
        lines += [json.dumps(row, ensure_ascii=False)
                  for row in mine_rows(index, batch, task, answering_rows, settings, report)]
        reporter.progress(min(len(questions), start + BLOCK), len(questions), "questions mined")
    report.rows = len(lines)
    if not lines:
        raise UserError("No passage of the index answers any of these questions.", exit=Exit.DATA,
                        fix="Index the documents that the answers are from, or name the column of their ids with "
                            "--document.")
    to.parent.mkdir(parents=True, exist_ok=True)
    write_text(to, "\n".join(lines) + "\n")
    reporter.info(report.summary())
    return report


def relevant_by_question(questions: Sequence[Question], relevance: Relevance, settings: Mining) -> dict[str, set[int]]:
    """The rows of the passages that answer each question's text: what answers an equal question is never a negative."""
    rows_by_text: dict[str, set[int]] = {}
    for question in questions:
        rows = relevance.relevant_rows(question, answer_score=settings.answer_score)
        rows_by_text.setdefault(normalise_text(question.text), set()).update(rows)
    return rows_by_text


def mine_rows(index: Index, questions: Sequence[Question], task: str, answering_rows: Mapping[str, set[int]],
              settings: Mining, report: MiningReport) -> Iterator[dict[str, Json]]:
    """The rows of some questions."""
    texts = [question.text for question in questions]
    if task == "long-answer":
        for question, hits in zip(questions, index.search(texts, k=settings.passages), strict=True):
            yield long_answer_row(question, hits)
        return
    dense: list[list[ScoredPassage]] = [[] for _ in texts]
    sparse = index.search(texts, source="sparse", k=settings.search_depth)
    if index.has_vectors:
        dense = index.search(texts, source="dense", k=settings.search_depth)
    for question, sparse_hits, dense_hits in zip(questions, sparse, dense, strict=True):
        relevant = answering_rows[normalise_text(question.text)]
        if not relevant:
            report.without_passage += 1
            report.skipped_rows.append(question.row)
            continue
        positive_rows = positives(question, relevant, sparse_hits, dense_hits, settings)
        negative_rows = negatives(index, relevant, sparse_hits, dense_hits, settings, report)
        if task == "text-classification":  # a re-ranker sees all that a search lists, not its first places alone
            yield from reranker_rows(index, question, positive_rows, evenly_spaced(negative_rows, settings.negatives))
        else:
            yield retriever_row(index, question, positive_rows, negative_rows[:settings.negatives])


def positives(question: Question, relevant: set[int], sparse_hits: Sequence[ScoredPassage],
              dense_hits: Sequence[ScoredPassage], settings: Mining) -> list[int]:
    """The relevant passages to learn, those first that a search finds first."""
    best_rank: dict[int, int] = {}
    for rank, row in sorted(((rank, hit.row) for hits in (sparse_hits, dense_hits) for rank, hit in enumerate(hits))):
        best_rank.setdefault(row, rank)
    return sorted(relevant, key=lambda row: (best_rank.get(row, 10**9), row))[:settings.positives]


def negatives(index: Index, relevant: set[int], sparse_hits: Sequence[ScoredPassage],
              dense_hits: Sequence[ScoredPassage], settings: Mining, report: MiningReport) -> list[int]:
    """All passages that a search finds and that are not relevant: in turn from both searches, best first.

    What says the same as a relevant passage is none, nor what lies almost as near to the question as the nearest
    relevant one (Moreira et al. 2024, NV-Retriever, section 3.3): it may answer, too.
    """
    relevant_texts = {hash_text(normalise_text(index.passages[row].text)) for row in relevant}
    best_score = max((hit.score for hit in dense_hits if hit.row in relevant), default=None)
    false_negatives = {hit.row for hit in dense_hits if best_score is not None
                       and hit.score >= settings.margin * best_score}
    rows: dict[int, None] = {}
    for rank in range(max(len(sparse_hits), len(dense_hits))):
        for hits in (sparse_hits, dense_hits):
            if rank >= len(hits) or (row := hits[rank].row) in relevant or row in rows:
                continue
            if row in false_negatives or hash_text(normalise_text(hits[rank].passage.text)) in relevant_texts:
                report.filtered += 1
                continue
            rows[row] = None
    return list(rows)


def evenly_spaced(rows: Sequence[int], count: int) -> list[int]:
    """`count` of the rows, evenly spaced from the first to the last."""
    if len(rows) <= count:
        return list(rows)
    return [rows[round(step * (len(rows) - 1) / max(1, count - 1))] for step in range(count)]


def retriever_row(index: Index, question: Question, positive_rows: Sequence[int],
                  negative_rows: Sequence[int]) -> dict[str, Json]:
    """A row of the task retrieval."""
    texts = [index.searchable_text(row) for row in positive_rows]
    return {"question": question.text, "passage": texts[0],
            "answers": [{"text": text, "score": 10} for text in texts[1:]],
            "negatives": [index.searchable_text(row) for row in negative_rows]}


def reranker_rows(index: Index, question: Question, positive_rows: Sequence[int],
                  negative_rows: Sequence[int]) -> Iterator[dict[str, Json]]:
    """Rows of a re-ranker: a question with a passage, and whether it answers."""
    for rows, label in ((positive_rows, RELEVANT), (negative_rows, IRRELEVANT)):
        for row in rows:
            yield {"text": question.text, "pair": index.searchable_text(row), "label": label}


def long_answer_row(question: Question, hits: Sequence[ScoredPassage]) -> dict[str, Json]:
    """A row of the task long-answer: what the retriever finds, relevant or not, as it will be when a question is
    answered.
    """
    answers: list[dict[str, Any]] = [{"text": text} | ({} if score is None else {"score": score})
                                     for text, score in zip(question.answers, question.scores, strict=True)]
    row: dict[str, Json] = {"question": question.text, "details": question.details, "answers": answers,
                            "passages": [passage_row(hit) for hit in hits]}
    return row | ({} if question.document is None else {"document": question.document})
