"""Whether an answer's sentences stand in the passages that it was written from, and which passages each one cites.

The support that a passage gives a sentence is a number from 0 to 1:

    support = (2 · content + quoted) / 3, halved where the sentence has a number or a name that the passage lacks

`content` is the share of the sentence's content words (all but the usual ones; stems) that the passage has; `quoted` the share of
its words in runs of three or more that stand in the passage as they are (of a shorter sentence: content). A number that is
wrong is a content word that is missing, so such a sentence stays below THRESHOLD however much of it is copied. It is words that
are compared, not what they mean: a "not" that was added or left out is not seen. A sentence without content words claims
nothing and has no support (NaN).

What stands in a passage is text and nothing else: an order in it is not obeyed, and a mark in it ("[9]") cites nothing.
M examples, R weightings.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.metrics.means import known_mean
from headstart.metrics.writing import copied_share, unsupported_names, unsupported_numbers
from headstart.text.sentences import sentence_spans
from headstart.text.stems import stem
from headstart.text.stopwords import USUAL
from headstart.text.words import words

Judge = Callable[[Sequence[tuple[str, str]]], Sequence[float]]  # (passage, sentence) pairs -> support of each, 0 to 1
Floats = NDArray[np.float64]
NAN = float("nan")
THRESHOLD = 0.5  # support from which a passage bears a sentence
NEAR = 0.05  # passages that support a sentence so much less than the best are cited beside it
MOST = 3  # passages that are cited for one sentence, where the writer has not said which
RUN = 3  # words of a quotation
MARK = re.compile(r"[^\S\n]*\[\d{1,3}(?:\s*[,;]\s*\d{1,3})*\]")
NUMBER = re.compile(r"\d+")
DEFINITIONS = {
    "grounding": "mean support of the sentences that claim something by the passages they cite, 0 for one that cites none (Gao et al. 2023 "
                 "ask an entailment model; here words are compared, see headstart/metrics/grounding.py)",
    "citation_precision": f"share of citations whose passage supports the sentence (support of {THRESHOLD:g} or more); where the writer "
                          "wrote no marks, passages are cited because they do",
    "citation_recall": f"share of the sentences that claim something with a citation whose passage supports them ({THRESHOLD:g} or more)",
    "cited_by_writer": "share of answers in which the writer itself wrote a mark that names a passage",
    "false_marks": "share of the marks written that name no passage; they are taken out of the text",
}


@dataclass(frozen=True)
class Sentence:
    """A sentence of an answer, the numbers of the passages that it cites (from 1), and the support of each."""

    text: str
    citations: tuple[int, ...] = ()
    supports: tuple[float, ...] = ()
    claims: bool = True  # whether it has words that could be supported


@dataclass(frozen=True)
class Cited:
    """An answer without its marks, sentence by sentence."""

    text: str
    sentences: tuple[Sentence, ...]
    marks: int = 0  # that the writer wrote
    false_marks: int = 0  # of these, ones that name no passage

    @property
    def citations(self) -> list[int]:
        """The passages that some sentence cites, ascending."""
        return sorted({number for sentence in self.sentences for number in sentence.citations})


def unmarked(text: str) -> tuple[str, list[tuple[int, int]]]:
    """A text without marks like [2] or [1, 3], and each number that stood there with its place in the text that is left."""
    parts: list[str] = []
    found: list[tuple[int, int]] = []
    begin = length = 0
    for mark in MARK.finditer(text):
        parts.append(text[begin:mark.start()])
        length += mark.start() - begin
        found += [(length, int(number)) for number in NUMBER.findall(mark.group())]
        begin = mark.end()
    parts.append(text[begin:])
    whole = "".join(parts)
    lead = len(whole) - len(whole.lstrip())
    return whole.strip(), [(max(0, place - lead), number) for place, number in found]


def content(text: str) -> list[str]:
    """The content words of a text as stems, each as often as it stands there."""
    return [stem(word) if len(word) > 3 else word for word in words(text) if word not in USUAL]


def support(sentence: str, passage: str) -> float:
    """How far a passage supports a sentence, 0 to 1; NaN for a sentence without content words."""
    own = content(sentence)
    if not own:
        return NAN
    held = set(content(passage))
    shared = sum(word in held for word in own) / len(own)
    said = words(sentence)
    quoted = copied_share(said, words(passage), span=RUN) if len(said) >= RUN else shared
    strange = unsupported_numbers(sentence, passage) or unsupported_names(sentence, passage)
    return (2 * shared + quoted) / 3 * (0.5 if strange else 1.0)


def by_words(pairs: Sequence[tuple[str, str]]) -> list[float]:
    """The support of each (passage, sentence) by their words."""
    return [support(sentence, passage) for passage, sentence in pairs]


def cite(text: str, passages: Sequence[str], *, judge: Judge = by_words, threshold: float = THRESHOLD) -> Cited:
    """An answer with the citations of each sentence: the marks that the writer wrote, else the passages that support it best.

    Marks of passages that are not there are taken out and counted.
    """
    whole, marks = unmarked(text)
    spans = sentence_spans(whole)
    written: list[set[int]] = [set() for _ in spans]
    for place, number in marks:
        if 1 <= number <= len(passages) and spans:
            written[max(0, sum(begin < place for begin, _ in spans) - 1)].add(number)
    pairs = [(passage, whole[begin:end]) for begin, end in spans for passage in passages]
    values = np.asarray(judge(pairs), dtype=np.float64).reshape(len(spans), len(passages))
    made = []
    for (begin, end), own, row in zip(spans, written, values, strict=True):
        chosen = sorted(own) or best(row, threshold)
        claims = bool(content(whole[begin:end]))
        made.append(Sentence(whole[begin:end], tuple(chosen), tuple(float(np.nan_to_num(row[number - 1])) for number in chosen), claims))
    return Cited(whole, tuple(made), len(marks), sum(not 1 <= number <= len(passages) for _, number in marks))


def best(supports: Floats, threshold: float) -> list[int]:
    """The numbers of the passages that support a sentence best, at most MOST, ascending; none where none reaches the threshold."""
    known = np.nan_to_num(supports, nan=-1.0)
    order = [int(place) for place in np.argsort(-known, kind="stable")[:MOST]]
    return sorted(place + 1 for place in order if known[place] >= max(threshold, known[order[0]] - NEAR))


def measures(cited: Cited, *, threshold: float = THRESHOLD) -> dict[str, float]:
    """The numbers of one answer that `scores` are made of; NaN where an answer has none (no sentence, no citation)."""
    claims = [one for one in cited.sentences if one.claims]
    given = [value for one in cited.sentences for value in one.supports]
    borne = [any(value >= threshold for value in one.supports) for one in claims]
    return {
        "grounding": float(np.mean([max(one.supports, default=0.0) for one in claims])) if claims else NAN,
        "citation_precision": float(np.mean([value >= threshold for value in given])) if given else NAN,
        "citation_recall": float(np.mean(borne)) if claims else NAN,
        "cited_by_writer": float(cited.marks > cited.false_marks) if claims else NAN,
        "false_marks": cited.false_marks / cited.marks if cited.marks else NAN,
    }


def scores(held: Any, weights: Floats) -> dict[str, NDArray[Any]]:
    """Means over the answers that have a value, (R,)."""
    return {name: known_mean(held[name], weights) for name in DEFINITIONS}
