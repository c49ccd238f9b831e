"""Questions whose answers are known: the one most similar to a new question is shown beside the answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headstart.contract import Json
from headstart.retrieval.documents.near_duplicates import jaccard
from headstart.retrieval.mining.questions import Question
from headstart.search.sparse import tokenize

if TYPE_CHECKING:
    from headstart.retrieval.index.index import Index

MIN_SIMILARITY = 0.5  # below it a question is another one


@dataclass(frozen=True)
class FAQ:
    """Questions with their first answers, and their vectors (n, W) where the index has a model."""

    questions: Sequence[Question]
    vectors: Any
    index: Index

    @classmethod
    def build(cls, questions: Sequence[Question], index: Index) -> FAQ:
        """Questions that have an answer, each once, by the index's own model."""
        question_by_text: dict[str, Question] = {}
        for question in questions:
            if question.answers:
                question_by_text.setdefault(question.text, question)
        unique_questions = list(question_by_text.values())
        has_vectors = bool(unique_questions) and index.has_vectors
        return cls(unique_questions, index.vectors([question.text for question in unique_questions]) if has_vectors
                   else None, index)

    def nearest(self, question: str) -> dict[str, Json] | None:
        """{"question", "answer", "similarity"} of the most similar known question; None where none is similar."""
        if not self.questions:
            return None
        if self.vectors is not None:
            similarities = [float(value) for value in self.vectors @ self.index.vectors([question])[0]]
        else:
            question_words = set(tokenize(question))
            similarities = [jaccard(question_words, set(tokenize(candidate.text))) for candidate in self.questions]
        best = max(range(len(similarities)), key=lambda index: (similarities[index], -index))
        if similarities[best] < MIN_SIMILARITY:
            return None
        match = self.questions[best]
        return {"question": match.text, "answer": match.answers[0], "similarity": round(similarities[best], 4)}
