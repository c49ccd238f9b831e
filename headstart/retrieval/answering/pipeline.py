"""A question put to an index: what is found, and what is written or quoted from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from headstart.contract import Json
from headstart.errors import UserError
from headstart.retrieval.answering.extractive import quote
from headstart.retrieval.answering.faq import Known
from headstart.retrieval.answering.generator import Answer, Writer
from headstart.retrieval.answering.reranker import DEPTH, Reranker
from headstart.retrieval.documents.passage import Found
from headstart.retrieval.index.thresholds import threshold_of
from headstart.settings import Generation
from headstart.tasks.long_answer.prompts import NOTHING

if TYPE_CHECKING:
    from headstart.retrieval.index.index import Index, Source

SOURCES = ("mixed", "sparse", "dense", "none")
QUOTED = 3  # sentences of an answer that is quoted


@dataclass(frozen=True)
class Asking:
    """An index with what answers from it: a writer (else sentences are quoted), a re-ranker, known questions.

    `threshold` is the nearness below which no passage is trusted; None where none was calibrated.
    """

    index: Index
    writer: Writer | None = None
    reranker: Reranker | None = None
    known: Known | None = None
    threshold: float | None = None

    @classmethod
    def of(cls, index: Index, *, writer: str | None = None, reranker: str | None = None, known: Known | None = None,
           device: str = "cpu") -> Asking:
        """With models loaded by their names; raises UserError (2, 66, 69)."""
        return cls(index, None if writer is None else Writer.load(writer, device=device),
                   None if reranker is None else Reranker.load(reranker, device=device), known, threshold_of(index))

    @property
    def sources(self) -> list[str]:
        """The ways to search that this index has."""
        return ["mixed", "sparse", "dense", "none"] if self.index.has_vectors else ["sparse", "none"]

    def passages(self, question: str, *, source: str | None = None, k: int = 5) -> list[Found]:
        """The passages that are found, best first; raises UserError (2) for a way that the index has not, or no words."""
        way = source or self.sources[0]
        if way not in self.sources:
            raise UserError(f"This index cannot be searched by {way}; it has {', '.join(self.sources)}.", fix="Choose one of those.")
        if not any(mark.isalnum() for mark in question):
            raise UserError(f"The question has no words: {question[:40]!r}.", fix="Write a question.")
        if way == "none" and self.writer is None:
            raise UserError("Without passages there is nothing to quote.", fix="Name a --writer, or search: --source mixed.")
        if way == "none":
            return []
        by = cast("Source", way)
        if self.reranker is None:
            return self.index.search([question], source=by, k=k)[0]
        listed = self.index.search([question], source=by, k=max(k, DEPTH))
        return self.reranker.ordered([question], listed)[0][:k]

    def confidence(self, question: str) -> float:
        """How near the nearest passage is: its cosine with the question, else its BM25 score."""
        listed = self.index.search([question], source="dense" if self.index.has_vectors else "sparse", k=1)[0]
        return listed[0].score if listed else 0.0

    def answer(self, question: str, passages: Sequence[Found], settings: Generation | None = None, *, seed: int = 0,
               stream: Callable[[str], None] | None = None, from_memory: bool = False) -> Answer:
        """What is written from passages, or quoted; or that nothing answers, where none is near enough.

        With `from_memory` a writer writes without passages, and the note says so. `settings` are the writer's own unless given.
        """
        if passages and self.threshold is not None and self.confidence(question) < self.threshold:
            return nothing(f"No passage is near enough to the question (below {self.threshold:.3f}, the calibrated threshold).")
        if self.writer is not None:
            return self.writer.answer(question, passages, settings, seed=seed, stream=stream, from_memory=from_memory)
        return self.quoted(question, passages, stream)

    def quoted(self, question: str, passages: Sequence[Found], stream: Callable[[str], None] | None) -> Answer:
        """The nearest sentences, word for word."""
        held = quote(question, passages, count=QUOTED, embed=self.index.vectors if self.index.has_vectors else None)
        if not held:
            return nothing("No sentence of the passages is near to the question." if passages else "No passage was found.")
        text = " ".join(one.text for one in held)
        if stream is not None:
            stream(text)
        return Answer(text, [{"text": one.text, "citations": [one.passage]} for one in held],
                      sorted({one.passage for one in held}), False, "Quoted word for word: no writer was named.", 1.0)

    def row(self, question: str, passages: Sequence[Found], made: Answer | None) -> dict[str, Json]:
        """Question, passages and answer as JSON."""
        shown = [{"number": number, "document": one.passage.document, "title": one.passage.title, "section": one.passage.section,
                  "text": one.passage.text, "score": one.score} for number, one in enumerate(passages, start=1)]
        found: dict[str, Json] = {"question": question, "passages": shown}
        near = self.nearest(question)
        if near is not None:
            found["nearest"] = dict(near)
        if made is None:
            return found
        return found | {"prediction": made.prediction, "sentences": list(made.sentences), "citations": list(made.citations),
                        "abstained": made.abstained, "note": made.note}

    def nearest(self, question: str) -> Mapping[str, Json] | None:
        """The known question that is most like this one."""
        return None if self.known is None else self.known.nearest(question)


def nothing(note: str) -> Answer:
    """No answer, and why."""
    return Answer(NOTHING, [{"text": NOTHING, "citations": []}], [], True, note)


def open_known(path: str | None, index: Index, given: Mapping[str, str]) -> Known | None:
    """The known questions of a file; raises UserError, DataError."""
    from headstart.retrieval.mining.questions import read_questions
    from headstart.settings import Data

    return None if path is None else Known.of(read_questions(path, Data(), given, answered=False), index)
