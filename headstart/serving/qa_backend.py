"""What the question page asks of its backend: this protocol keeps the page apart from indexes and models."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from headstart.contract import Json

SOURCES = ("mixed", "sparse", "dense", "none")


@dataclass(frozen=True)
class Options:
    """How passages are searched and an answer is generated, as the page sets it."""

    source: str = "mixed"
    passages: int = 5
    passages_only: bool = False
    do_sample: bool = False
    min_new_tokens: int = 0
    max_new_tokens: int = 128
    num_beams: int = 1
    top_p: float = 1.0
    temperature: float = 1.0
    no_repeat_ngram_size: int = 3


class QABackend(Protocol):
    """Answers questions from one index."""

    def page_info(self) -> Mapping[str, Json]:
        """{"name", "documents", "passages", "sources", "writer", "quotes", "canned", "disclaimer", "options"}: what the
        page shows at
        first; `quotes`: answers are passages' own sentences."""

    def passages(self, question: str, options: Options) -> Sequence[Mapping[str, Json]]:
        """The passages that were found, best first: {"text", "title", "section", "document", "score"}."""

    def answer(self, question: str, passages: Sequence[Mapping[str, Json]], options: Options,
               stream: Callable[[str], None]) -> Mapping[str, Json]:
        """{"prediction", "sentences": [{"text", "citations"}], "abstained", "note"}; `stream` gets the text while it is
        generated.
        """

    def nearest(self, question: str) -> Mapping[str, Json] | None:
        """The most similar known question with its answer, {"question", "answer", "similarity"}; None where none is
        known.
        """
