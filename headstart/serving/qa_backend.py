"""What the question page asks of whoever answers: this protocol keeps the page apart from indexes and models."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from headstart.contract import Json

SOURCES = ("mixed", "sparse", "dense", "none")


@dataclass(frozen=True)
class Options:
    """How an answer is looked for and written, as the page sets it."""

    source: str = "mixed"
    passages: int = 5
    passages_only: bool = False
    sample: bool = False
    least_tokens: int = 0
    new_tokens: int = 128
    beams: int = 1
    top_p: float = 1.0
    temperature: float = 1.0
    no_repeat_ngram: int = 3


class Desk(Protocol):
    """Answers questions from one index."""

    def about(self) -> Mapping[str, Json]:
        """{"name", "documents", "passages", "sources", "writer", "quotes", "canned", "disclaimer", "options"}: what the page shows at
        first; `quotes`: answers are passages' own sentences."""

    def passages(self, question: str, options: Options) -> Sequence[Mapping[str, Json]]:
        """The passages that were found, best first: {"text", "title", "section", "document", "score"}."""

    def answer(self, question: str, passages: Sequence[Mapping[str, Json]], options: Options,
               stream: Callable[[str], None]) -> Mapping[str, Json]:
        """{"prediction", "sentences": [{"text", "citations"}], "abstained", "note"}; `stream` gets the text while it is written."""

    def nearest(self, question: str) -> Mapping[str, Json] | None:
        """The known question most like this one with its answer, {"question", "answer", "similarity"}; None where none is known."""
