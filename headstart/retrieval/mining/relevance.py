"""Which passages of an index answer a question: those that are cut from its own answers or its document."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from headstart.retrieval.documents.chunking import chunk_document
from headstart.retrieval.documents.document import Document
from headstart.retrieval.mining.questions import Question
from headstart.text.normalise import hash_text, normalise_text
from headstart.text.words import tokenize_words

if TYPE_CHECKING:
    from headstart.retrieval.index.index import Index

NGRAM = 4  # words of the n-grams by which a passage is found in an answer
MIN_CONTAINMENT = 0.6  # share of a passage's n-grams that an answer must hold, for the passage to be cut from it
SEARCH_DEPTH = 50  # passages that a search for the answer's words gives


class Relevance:
    """The passages that answer questions, in one index."""

    def __init__(self, index: Index) -> None:
        self.index = index
        self.rows_by_text: dict[int, list[int]] = {}
        for row, passage in enumerate(index.passages):
            self.rows_by_text.setdefault(hash_text(normalise_text(passage.text)), []).append(row)

    def relevant_rows(self, question: Question, *, answer_score: float) -> list[int]:
        """Rows of the index, ascending; none where neither the answers nor the document are in it."""
        answers = question.good_answers(answer_score)
        rows = {row for answer in answers for row in self.rows_cut_from(answer)}
        if question.document is not None:
            document_rows = self.index.document_rows(question.document)
            answering_rows = [row for row in document_rows
                              if any(containment(self.index.passages[row].text, answer) >= MIN_CONTAINMENT
                                     for answer in answers)]
            return sorted(rows | set(answering_rows or ([] if rows else document_rows)))
        return sorted(rows or {row for answer in answers for row in self.rows_within(answer)})

    def rows_cut_from(self, answer: str) -> list[int]:
        """The rows whose text is a passage of the answer cut by itself."""
        settings = self.index.manifest["settings"]
        passages = chunk_document(Document("", "", answer), words=int(settings["passage_words"]),
                                  overlap=int(settings["overlap"]))
        return [row for passage in passages for row in self.rows_by_text.get(hash_text(normalise_text(passage.text)),
                                                                             ())]

    def rows_within(self, answer: str) -> list[int]:
        """The rows whose words stand in the answer, among those that a search for it finds."""
        hits = self.index.search([answer], source="sparse", k=SEARCH_DEPTH)[0]
        return [hit.row for hit in hits if containment(hit.passage.text, answer) >= MIN_CONTAINMENT]


def containment(passage: str, answer: str) -> float:
    """The share of a passage's n-grams that stand in an answer; of its words where it is shorter than an n-gram."""
    size = min(NGRAM, len(tokenize_words(passage)))
    passage_ngrams, answer_ngrams = ngrams(tokenize_words(passage), size), set(ngrams(tokenize_words(answer), size))
    return sum(ngram in answer_ngrams for ngram in passage_ngrams) / len(passage_ngrams) if passage_ngrams else 0.0


def ngrams(tokens: Sequence[str], size: int) -> list[tuple[str, ...]]:
    """Every run of `size` tokens."""
    return list(zip(*(tokens[start:] for start in range(size)), strict=False)) if size else []
