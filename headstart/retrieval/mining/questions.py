"""Questions with their right answers, read from a file: what retrievers and generators are trained and evaluated on."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from headstart.contract import Field, Json, Row
from headstart.data.columns import assign_columns, field_rows
from headstart.data.table import open_table
from headstart.errors import DataError, Exit, Finding, UserError
from headstart.settings import Data
from headstart.text.json_values import parse_json

FIELDS = (
    Field("question", "the question", aliases=("question", "query", "title")),
    Field("details", "further context of the question", required=False),
    Field("answer", "a text that answers it", required=False),
    Field("answers", "several texts that answer it, best first", type="list", required=False),
    Field("document", "the id of the document that answers it", required=False),
)
FIX = "Fill it in, or leave such rows out (--bad-rows skip)."


@dataclass(frozen=True)
class Question:
    """A question and what answers it: texts, best first, and the document that they are from, where that is known."""

    row: int
    text: str
    answers: tuple[str, ...] = ()
    document: str | None = None
    details: str = ""
    scores: tuple[float | None, ...] = ()

    def good_answers(self, min_score: float) -> tuple[str, ...]:
        """The first answer, and others with a score of at least `min_score`."""
        return tuple(text for rank, (text, score) in enumerate(zip(self.answers, self.scores, strict=True))
                     if rank == 0 or (score is not None and score >= min_score))


def read_questions(path: str, data: Data, columns: Mapping[str, str], *, need_answer: bool = True) -> list[Question]:
    """The questions of a file; raises UserError, or DataError with every row that cannot be used (65).

    With `need_answer` each row needs an answer or a document; `columns` names columns. Bad rows are skipped with
    data.bad_rows=skip.
    """
    table = open_table(path, data)
    named_columns = {name: column for name, column in columns.items() if name in {field.name for field in FIELDS}}
    field_columns = assign_columns(table.columns, FIELDS, named_columns, None, table.path, True)
    questions, faults = [], [finding for finding in table.findings if finding.level == "fault"]
    for row in field_rows(table, field_columns, FIELDS):
        try:
            question = parse_question(row)
        except ValueError as error:
            faults.append(Finding("E201", str(error), FIX, row.file, row.line, row=row.id))
            continue
        if need_answer and not question.answers and question.document is None:
            faults.append(Finding("E202", "the row has neither an answer nor a document.", FIX, row.file, row.line,
                                  row=row.id))
            continue
        questions.append(question)
    if faults and data.bad_rows != "skip":
        raise DataError(faults)
    if not questions:
        raise UserError(f"{table.path} has no question that can be used.",
                        fix="Each row needs a question, and an answer or a document.", exit=Exit.DATA)
    return questions


def parse_question(row: Row) -> Question:
    """A row as a question; raises ValueError with what is wrong."""
    text = cell_text(row.values.get("question"))
    if not text:
        raise ValueError("the question is empty.")
    scored_answers: list[tuple[str, float | None]] = [(answer, None) for answer in [cell_text(row.values.get("answer"))]
                                                      if answer]
    scored_answers += parse_answers(row.values.get("answers"))
    score_of: dict[str, float | None] = {}
    for answer, score in scored_answers:
        score_of.setdefault(answer, score)
    document = cell_text(row.values.get("document")) or None
    return Question(row.id, text, tuple(score_of), document, cell_text(row.values.get("details")),
                    tuple(score_of.values()))


def parse_answers(value: Json) -> list[tuple[str, float | None]]:
    """A list of answers, each a text or {"text": …, "score": …}; also as JSON in a cell."""
    if isinstance(value, str) and value.strip().startswith("["):
        value = parse_json(value)
    items: Sequence[Json] = value if isinstance(value, list) else [value] if value not in (None, "") else []
    answers = []
    for index, item in enumerate(items):
        text, score = (item.get("text"), item.get("score")) if isinstance(item, Mapping) else (item, None)
        if not isinstance(text, str) or not text.strip():
            raise ValueError(f"answer {index} is {item!r:.60}, a text was expected.")
        answers.append((text.strip(), float(score) if isinstance(score, int | float) else None))
    return answers


def cell_text(value: Json) -> str:
    """A cell as a text without space around it."""
    return "" if value is None else value.strip() if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
