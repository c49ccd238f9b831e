"""Questions with their right answers, as a file gives them: what retrievers and writers are taught and measured on."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from headstart.contract import Field, Json, Row
from headstart.data.columns import choose, rows
from headstart.data.table import open_table
from headstart.errors import DataError, Exit, Finding, UserError
from headstart.settings import Data

FIELDS = (
    Field("question", "the question", usual=("question", "query", "title")),
    Field("details", "what was said beside the question", required=False),
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

    def good(self, least: float) -> tuple[str, ...]:
        """The first answer, and others with a score of at least `least`."""
        return tuple(text for place, (text, score) in enumerate(zip(self.answers, self.scores, strict=True))
                     if place == 0 or (score is not None and score >= least))


def read_questions(path: str, data: Data, given: Mapping[str, str], *, answered: bool = True) -> list[Question]:
    """The questions of a file; raises UserError, or DataError with every row that cannot be used (65).

    With `answered` each row needs an answer or a document; `given` names columns. Rows are left out with data.bad_rows=skip.
    """
    table = open_table(path, data)
    chosen = choose(table.columns, FIELDS, {name: held for name, held in given.items() if name in {one.name for one in FIELDS}}, None,
                    table.path, True)
    found, faults = [], [finding for finding in table.findings if finding.level == "fault"]
    for row in rows(table, chosen, FIELDS):
        try:
            one = question_of(row)
        except ValueError as error:
            faults.append(Finding("E201", str(error), FIX, row.file, row.line, row=row.id))
            continue
        if answered and not one.answers and one.document is None:
            faults.append(Finding("E202", "the row has neither an answer nor a document.", FIX, row.file, row.line, row=row.id))
            continue
        found.append(one)
    if faults and data.bad_rows != "skip":
        raise DataError(faults)
    if not found:
        raise UserError(f"{table.path} has no question that can be used.", fix="Each row needs a question, and an answer or a document.",
                        exit=Exit.DATA)
    return found


def question_of(row: Row) -> Question:
    """A row as a question; raises ValueError in words."""
    text = as_text(row.values.get("question"))
    if not text:
        raise ValueError("the question is empty.")
    pairs = [(one, None) for one in [as_text(row.values.get("answer"))] if one] + answers_of(row.values.get("answers"))
    kept: dict[str, float | None] = {}
    for one, score in pairs:
        kept.setdefault(one, score)
    document = as_text(row.values.get("document")) or None
    return Question(row.id, text, tuple(kept), document, as_text(row.values.get("details")), tuple(kept.values()))


def answers_of(value: Json) -> list[tuple[str, float | None]]:
    """A list of answers, each a text or {"text": …, "score": …}; also as JSON in a cell."""
    if isinstance(value, str) and value.strip().startswith("["):
        value = json.loads(value)
    held: Sequence[Json] = value if isinstance(value, list) else [value] if value not in (None, "") else []
    found = []
    for place, one in enumerate(held):
        text, score = (one.get("text"), one.get("score")) if isinstance(one, Mapping) else (one, None)
        if not isinstance(text, str) or not text.strip():
            raise ValueError(f"answer {place} is {one!r:.60}, a text was expected.")
        found.append((text.strip(), float(score) if isinstance(score, int | float) else None))
    return found


def as_text(value: Json) -> str:
    """A cell as a text without space around it."""
    return "" if value is None else value.strip() if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
