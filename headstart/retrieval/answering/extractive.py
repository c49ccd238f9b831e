"""An answer without a generator: the sentences of the passages that are nearest to the question, word for word."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from headstart.metrics import grounding
from headstart.retrieval.documents.passage import ScoredPassage
from headstart.search.sparse import tokenize
from headstart.text.sentences import split_sentences

MAX_PASSAGES = 5  # passages whose sentences are weighed
# a sentence that is nearer to the question than this share of the nearest one's nearness is quoted, too
RELATIVE_THRESHOLD = 0.6
MIN_WORDS = 4  # words below which a sentence says nothing by itself
SENTENCE_END = re.compile(r"[.!?…。！？]\W*$")  # how a sentence ends, and a heading does not

Embed = Callable[[Sequence[str]], Any]  # texts -> vectors of length 1, (n, W)


@dataclass(frozen=True)
class Quote:
    """A sentence and the number of its passage, from 1."""

    text: str
    passage: int


def extract_quotes(question: str, passages: Sequence[ScoredPassage], *, count: int = 3,
                   embed: Embed | None = None) -> list[Quote]:
    """The `count` sentences nearest to the question, in the order of their passages and of the text; fewer where others
    are much farther from it than the nearest one.

    Nearness is the cosine of vectors where `embed` is given, else the share of the question's words that stand in the
    sentence.
    """
    # A passage's own marks ("[7]") cite nothing here.
    quotes = [Quote(text, number) for number, hit in enumerate(passages[:MAX_PASSAGES], start=1)
              for text in split_sentences(grounding.CITATION_MARK.sub("", hit.passage.text))
              if len(text.split()) >= MIN_WORDS]
    quotes = [quoted for quoted in quotes if SENTENCE_END.search(quoted.text)] or quotes
    first_of_text: dict[str, Quote] = {}
    for quoted in quotes:
        first_of_text.setdefault(" ".join(quoted.text.lower().split()), quoted)  # each sentence where it stands first
    quotes = list(first_of_text.values())
    if not quotes:
        return []
    scores = cosine_scores(question, quotes, embed) if embed is not None else [word_overlap(question, quoted.text)
                                                                               for quoted in quotes]
    if max(scores) <= 0:
        return []
    min_score = RELATIVE_THRESHOLD * max(scores)
    best = [index for index in sorted(range(len(quotes)), key=lambda index: (-scores[index], index))
            if scores[index] >= min_score][:count]
    return [quotes[index] for index in sorted(best)]


def cosine_scores(question: str, quotes: Sequence[Quote], embed: Embed) -> list[float]:
    """The cosine of each sentence with the question."""
    vectors = embed([question, *(quoted.text for quoted in quotes)])
    return [float(value) for value in vectors[1:] @ vectors[0]]


def word_overlap(question: str, text: str) -> float:
    """Share of the question's different words that stand in a text."""
    question_words = set(tokenize(question))
    return len(question_words & set(tokenize(text))) / len(question_words) if question_words else 0.0
