"""Questions whose answers are known: the nearest one to a new question is shown beside the answer that is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headstart.contract import Json
from headstart.retrieval.evaluation.controls import jaccard
from headstart.retrieval.mining.questions import Question
from headstart.search.sparse import tokenize

if TYPE_CHECKING:
    from headstart.retrieval.index.index import Index

LEAST = 0.5  # likeness below which a question is another one


@dataclass(frozen=True)
class Known:
    """Questions with their first answers, and their vectors (n, W) where the index has a model."""

    questions: Sequence[Question]
    vectors: Any
    index: Index

    @classmethod
    def of(cls, questions: Sequence[Question], index: Index) -> Known:
        """Questions that have an answer, each once, by the index's own model."""
        first: dict[str, Question] = {}
        for one in questions:
            if one.answers:
                first.setdefault(one.text, one)
        kept = list(first.values())
        return cls(kept, index.vectors([one.text for one in kept]) if kept and index.has_vectors else None, index)

    def nearest(self, question: str) -> dict[str, Json] | None:
        """{"question", "answer", "similarity"} of the known question that is most like this one; None where none is."""
        if not self.questions:
            return None
        if self.vectors is not None:
            likeness = [float(value) for value in self.vectors @ self.index.vectors([question])[0]]
        else:
            own = set(tokenize(question))
            likeness = [jaccard(own, set(tokenize(one.text))) for one in self.questions]
        place = max(range(len(likeness)), key=lambda at: (likeness[at], -at))
        if likeness[place] < LEAST:
            return None
        one = self.questions[place]
        return {"question": one.text, "answer": one.answers[0], "similarity": round(likeness[place], 4)}
