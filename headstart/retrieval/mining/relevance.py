"""Which passages of an index answer a question: those that are cut from its own answers or its document."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from headstart.retrieval.documents.chunking import cut
from headstart.retrieval.documents.document import Document
from headstart.retrieval.mining.questions import Question
from headstart.text.normalise import hash_text, normalised
from headstart.text.words import words

if TYPE_CHECKING:
    from headstart.retrieval.index.index import Index

RUN = 4  # words of the runs by which a passage is found in an answer
HELD = 0.6  # share of a passage's runs that an answer must hold, for the passage to be cut from it
LOOKED = 50  # passages that a search for the answer's words gives


class Relevance:
    """The passages that answer questions, in one index."""

    def __init__(self, index: Index) -> None:
        self.index = index
        self.by_text: dict[int, list[int]] = {}
        for row, passage in enumerate(index.passages):
            self.by_text.setdefault(hash_text(normalised(passage.text)), []).append(row)

    def rows(self, question: Question, *, answer_score: float) -> list[int]:
        """Rows of the index, ascending; none where neither the answers nor the document are in it."""
        answers = question.good(answer_score)
        found = {row for answer in answers for row in self.cut_from(answer)}
        if question.document is not None:
            own = self.index.rows_of(question.document)
            held = [row for row in own if any(contained(self.index.passages[row].text, answer) >= HELD for answer in answers)]
            return sorted(found | set(held or ([] if found else own)))
        return sorted(found or {row for answer in answers for row in self.within(answer)})

    def cut_from(self, answer: str) -> list[int]:
        """The rows whose text is a passage of the answer cut by itself."""
        settings = self.index.facts["settings"]
        made = cut(Document("", "", answer), words=int(settings["words"]), overlap=int(settings["overlap"]))
        return [row for one in made for row in self.by_text.get(hash_text(normalised(one.text)), ())]

    def within(self, answer: str) -> list[int]:
        """The rows whose words stand in the answer, among those that a search for it finds."""
        listed = self.index.search([answer], source="sparse", k=LOOKED)[0]
        return [one.row for one in listed if contained(one.passage.text, answer) >= HELD]


def contained(passage: str, answer: str) -> float:
    """The share of a passage's runs of words that stand in an answer; of its words where it is shorter than a run."""
    size = min(RUN, len(words(passage)))
    own, other = runs(words(passage), size), set(runs(words(answer), size))
    return sum(one in other for one in own) / len(own) if own else 0.0


def runs(tokens: Sequence[str], size: int) -> list[tuple[str, ...]]:
    """Every run of so many words."""
    return list(zip(*(tokens[begin:] for begin in range(size)), strict=False)) if size else []
