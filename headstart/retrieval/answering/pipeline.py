"""Questions answered from an index: passages are retrieved, and an answer is generated or quoted from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from headstart.contract import Json
from headstart.errors import UserError
from headstart.retrieval.answering.extractive import extract_quotes
from headstart.retrieval.answering.faq import FAQ
from headstart.retrieval.answering.generator import Answer, AnswerGenerator
from headstart.retrieval.answering.reranker import RERANK_DEPTH, Reranker
from headstart.retrieval.documents.passage import ScoredPassage
from headstart.retrieval.index.thresholds import read_threshold
from headstart.retrieval.mining.questions import read_questions
from headstart.settings import Data, Generation
from headstart.tasks.long_answer.prompts import NO_ANSWER

if TYPE_CHECKING:
    from headstart.retrieval.index.index import Index, Source

SOURCES = ("mixed", "sparse", "dense", "none")
MAX_QUOTES = 3  # sentences of an answer that is quoted


@dataclass(frozen=True)
class QAPipeline:
    """An index with what answers from it: a generator (else sentences are quoted), a re-ranker, known questions.

    `threshold` is the similarity below which no passage is trusted; None where none was calibrated.
    """

    index: Index
    generator: AnswerGenerator | None = None
    reranker: Reranker | None = None
    faq: FAQ | None = None
    threshold: float | None = None

    @classmethod
    def load(cls, index: Index, *, writer: str | None = None, reranker: str | None = None, faq: FAQ | None = None,
             device: str = "cpu", precision: str = "fp32") -> QAPipeline:
        """The pipeline with models loaded by their names; raises UserError (2, 66, 69)."""
        return cls(index, None if writer is None else AnswerGenerator.load(writer, device=device, precision=precision),
                   None if reranker is None else Reranker.load(reranker, device=device, precision=precision), faq,
                   read_threshold(index.path, index.version))

    @property
    def sources(self) -> list[str]:
        """What this index can be searched by, the default first."""
        return ["mixed", "sparse", "dense", "none"] if self.index.has_vectors else ["sparse", "none"]

    def passages(self, question: str, *, source: str | None = None, k: int = 5) -> list[ScoredPassage]:
        """The passages that are found, best first; raises UserError (2) for a source that the index lacks, or no words.
        """
        chosen_source = source or self.sources[0]
        if chosen_source not in self.sources:
            raise UserError(f"This index cannot be searched by {chosen_source}; it has {', '.join(self.sources)}.",
                            fix="Choose one of those.")
        if not any(character.isalnum() for character in question):
            raise UserError(f"The question has no words: {question[:40]!r}.", fix="Write a question.")
        if chosen_source == "none" and self.generator is None:
            raise UserError("Without passages there is nothing to quote.",
                            fix="Name a --writer, or search: --retrieval mixed.")
        if chosen_source == "none":
            return []
        search_source = cast("Source", chosen_source)
        if self.reranker is None:
            return self.index.search([question], source=search_source, k=k)[0]
        hits = self.index.search([question], source=search_source, k=max(k, RERANK_DEPTH))
        return self.reranker.rerank([question], hits)[0][:k]

    def confidence(self, question: str) -> float:
        """How near the nearest passage is: its cosine with the question, else its BM25 score."""
        hits = self.index.search([question], source="dense" if self.index.has_vectors else "sparse", k=1)[0]
        return hits[0].score if hits else 0.0

    def answer(self, question: str, passages: Sequence[ScoredPassage], settings: Generation | None = None, *,
               seed: int = 0, stream: Callable[[str], None] | None = None, from_memory: bool = False) -> Answer:
        """An answer generated or quoted from passages; an abstaining one where none is near enough.

        With `from_memory` it is generated without passages, and the note says so. `settings` default to the generator's
        own.
        """
        if passages and self.threshold is not None and self.confidence(question) < self.threshold:
            return abstain(f"No passage is near enough to the question (below {self.threshold:.3f}, the calibrated "
                           "threshold).")
        if self.generator is not None:
            return self.generator.answer(question, passages, settings, seed=seed, stream=stream,
                                         from_memory=from_memory)
        return self.quote_answer(question, passages, stream)

    def quote_answer(self, question: str, passages: Sequence[ScoredPassage],
                     stream: Callable[[str], None] | None) -> Answer:
        """The nearest sentences, word for word."""
        quotes = extract_quotes(question, passages, count=MAX_QUOTES,
                                embed=self.index.vectors if self.index.has_vectors else None)
        if not quotes:
            return abstain("No sentence of the passages is near to the question." if passages
                           else "No passage was found.")
        text = " ".join(quoted.text for quoted in quotes)
        if stream is not None:
            stream(text)
        return Answer(text, [{"text": quoted.text, "citations": [quoted.passage]} for quoted in quotes],
                      sorted({quoted.passage for quoted in quotes}), False,
                      "Quoted word for word: no writer was named.", 1.0)

    def to_json(self, question: str, passages: Sequence[ScoredPassage], answer: Answer | None) -> dict[str, Json]:
        """Question, passages and answer as JSON."""
        passage_rows = [{"number": number, "document": hit.passage.document, "title": hit.passage.title,
                         "section": hit.passage.section,
                         "text": hit.passage.text, "score": hit.score} for number, hit in enumerate(passages, start=1)]
        record: dict[str, Json] = {"question": question, "passages": passage_rows}
        nearest = self.nearest(question)
        if nearest is not None:
            record["nearest"] = dict(nearest)
        if answer is None:
            return record
        return record | {"prediction": answer.prediction, "sentences": list(answer.sentences),
                         "citations": list(answer.citations), "abstained": answer.abstained, "note": answer.note}

    def nearest(self, question: str) -> Mapping[str, Json] | None:
        """The most similar known question, with its answer."""
        return None if self.faq is None else self.faq.nearest(question)


def abstain(note: str) -> Answer:
    """An abstaining answer, and why."""
    return Answer(NO_ANSWER, [{"text": NO_ANSWER, "citations": []}], [], True, note)


def load_faq(path: str | None, index: Index, columns: Mapping[str, str]) -> FAQ | None:
    """The known questions of a file; raises UserError, DataError."""
    return None if path is None else FAQ.build(read_questions(path, Data(), columns, need_answer=False), index)
