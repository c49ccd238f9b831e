"""The question page's desk over an index: what the page asks, answered by retrieval."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from headstart.contract import Json
from headstart.retrieval.answering.pipeline import Asking
from headstart.retrieval.documents.passage import Found
from headstart.serving.qa_backend import Options
from headstart.settings import Generation

CANNED = 14  # example questions that the page shows


@dataclass(frozen=True)
class IndexDesk:
    """Answers the page from one index; `grounding` is what was measured of the writer on test questions, where it was."""

    asking: Asking
    name: str
    writer: str | None = None
    grounding: float | None = None
    seed: int = 0

    def about(self) -> Mapping[str, Json]:
        """What the page shows at first."""
        held = self.asking.index.about()
        known = [] if self.asking.known is None else [one.text for one in self.asking.known.questions[:CANNED]]
        return {"name": self.name, "documents": held["documents"], "passages": held["passages"], "sources": self.sources(),
                "writer": self.writer or "quotes", "quotes": self.asking.writer is None, "canned": known, "disclaimer": self.disclaimer(),
                "options": dataclasses.asdict(Options(source=self.asking.sources[0]))}

    def sources(self) -> list[str]:
        """The ways to search; none at all only where a writer can do without passages."""
        return [one for one in self.asking.sources if one != "none" or self.asking.writer is not None]

    def disclaimer(self) -> str:
        """How far answers can be trusted, by what was measured."""
        if self.asking.writer is None:
            return "Answers are sentences of your documents, word for word; whether they answer the question is for you to judge."
        if self.grounding is None:
            return ("Answers are written by a model and may be wrong; how far they are supported by the passages was not measured. "
                    "Read the passages.")
        return (f"Answers are written by a model and may be wrong: on its test questions {self.grounding:.0%} of what it wrote was "
                "supported by the passages that it cites. Read the passages.")

    def passages(self, question: str, options: Options) -> Sequence[Mapping[str, Json]]:
        """The passages that were found, best first."""
        found = self.asking.passages(question, source=options.source, k=options.passages)
        return [{"text": one.passage.text, "title": one.passage.title, "section": one.passage.section,
                 "document": one.passage.document, "score": round(one.score, 4), "row": one.row} for one in found]

    def answer(self, question: str, passages: Sequence[Mapping[str, Json]], options: Options,
               stream: Callable[[str], None]) -> Mapping[str, Json]:
        """What is written or quoted, sentence by sentence with its citations."""
        index = self.asking.index
        found = [Found(index.passages[int(one["row"])], int(one["row"]), float(one["score"])) for one in passages]
        made = self.asking.answer(question, found, generation(options), seed=self.seed, stream=stream, from_memory=options.source == "none")
        return {"prediction": made.prediction, "sentences": list(made.sentences), "abstained": made.abstained, "note": made.note}

    def nearest(self, question: str) -> Mapping[str, Json] | None:
        """The known question most like this one."""
        return self.asking.nearest(question)


def generation(options: Options) -> Generation:
    """The page's options as settings of writing."""
    return Generation(new_tokens=options.new_tokens, least_tokens=options.least_tokens, sample=options.sample, beams=options.beams,
                      top_p=options.top_p, temperature=options.temperature, no_repeat_ngram=options.no_repeat_ngram)
