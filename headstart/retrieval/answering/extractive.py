"""An answer without a writer: the sentences of the passages that are nearest to the question, word for word."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from headstart.metrics import grounding
from headstart.retrieval.documents.passage import Found
from headstart.search.sparse import tokenize
from headstart.text.sentences import sentences

LOOKED = 5  # passages whose sentences are weighed
NEAR = 0.6  # a sentence that is nearer to the question than this share of the nearest one's nearness is quoted, too
SHORT = 4  # words below which a sentence says nothing by itself
CLOSED = re.compile(r"[.!?…。！？]\W*$")  # how a sentence ends, and a heading does not

Embed = Callable[[Sequence[str]], Any]  # texts -> vectors of length 1, (n, W)


@dataclass(frozen=True)
class Quote:
    """A sentence and the number of its passage, from 1."""

    text: str
    passage: int


def quote(question: str, passages: Sequence[Found], *, count: int = 3, embed: Embed | None = None) -> list[Quote]:
    """The `count` sentences nearest to the question, in the order of their passages and of the text; fewer where others are much
    farther from it than the nearest one.

    Nearness is the cosine of vectors where `embed` is given, else the share of the question's words that stand in the sentence.
    """
    # A passage's own marks ("[7]") cite nothing here.
    quotes = [Quote(text, number) for number, one in enumerate(passages[:LOOKED], start=1)
              for text in sentences(grounding.MARK.sub("", one.passage.text)) if len(text.split()) >= SHORT]
    quotes = [one for one in quotes if CLOSED.search(one.text)] or quotes
    first: dict[str, Quote] = {}
    for one in quotes:
        first.setdefault(" ".join(one.text.lower().split()), one)  # each sentence at its first place
    quotes = list(first.values())
    if not quotes:
        return []
    scores = by_vectors(question, quotes, embed) if embed is not None else [shared(question, one.text) for one in quotes]
    if max(scores) <= 0:
        return []
    least = NEAR * max(scores)
    best = [place for place in sorted(range(len(quotes)), key=lambda place: (-scores[place], place)) if scores[place] >= least][:count]
    return [quotes[place] for place in sorted(best)]


def by_vectors(question: str, quotes: Sequence[Quote], embed: Embed) -> list[float]:
    """The cosine of each sentence with the question."""
    vectors = embed([question, *(one.text for one in quotes)])
    return [float(value) for value in vectors[1:] @ vectors[0]]


def shared(question: str, text: str) -> float:
    """Share of the question's different words that stand in a text."""
    own = set(tokenize(question))
    return len(own & set(tokenize(text))) / len(own) if own else 0.0
