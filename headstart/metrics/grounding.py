"""Whether an answer's sentences are grounded in the passages that it was written from, and which passages each one
cites.

The support that a passage gives a sentence is a number from 0 to 1:

    support = (2 · content + quoted) / 3, halved where the sentence has a number or a name that the passage lacks

`content` is the share of the sentence's content words (all but stop words; stems) that the passage has; `quoted` the
share of its words in runs of three or more that stand in the passage as they are (of a shorter sentence: content). A
number that is
wrong is a content word that is missing, so such a sentence stays below THRESHOLD however much of it is copied. It is
words that are compared, not what they mean: a "not" that was added or left out is not seen. A sentence without content
words claims
nothing and has no support (NaN).

What stands in a passage is text and nothing else: an order in it is not obeyed, and a citation mark in it ("[9]") cites
nothing. M examples, R weightings.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.metrics.nan_means import weighted_nanmean
from headstart.metrics.text_quality import copied_share, unsupported_names, unsupported_numbers
from headstart.text.porter_stemmer import stem
from headstart.text.sentences import sentence_spans
from headstart.text.stopwords import STOPWORDS
from headstart.text.words import tokenize_words

# (passage, sentence) pairs -> support of each, 0 to 1
SupportScorer = Callable[[Sequence[tuple[str, str]]], Sequence[float]]
Floats = NDArray[np.float64]
NAN = float("nan")
THRESHOLD = 0.5  # support from which a passage supports a sentence
CITATION_MARGIN = 0.05  # passages whose support is at most this much below the best are cited too
MAX_CITATIONS = 3  # passages that are cited for one sentence, where the writer has not said which
QUOTE_WORDS = 3  # words of a quotation
CITATION_MARK = re.compile(r"[^\S\n]*\[\d{1,3}(?:\s*[,;]\s*\d{1,3})*\]")
NUMBER = re.compile(r"\d+")
DEFINITIONS = {
    "grounding": "mean support of the sentences that claim something by the passages they cite, 0 for one that cites "
                 "none (Gao et al. 2023 "
                 "ask an entailment model; here words are compared, see headstart/metrics/grounding.py)",
    "citation_precision": f"share of citations whose passage supports the sentence (support of {THRESHOLD:g} or more); "
                          "where the writer cited nothing, passages are cited because they do",
    "citation_recall": "share of the sentences that claim something with a citation whose passage supports them "
                       f"({THRESHOLD:g} or more)",
    "cited_by_writer": "share of answers in which the model itself cites a passage",
    "false_marks": "share of the generated citations that name no passage; they are removed from the text",
}


@dataclass(frozen=True)
class CitedSentence:
    """A sentence of an answer, the numbers of the passages that it cites (from 1), and the support of each."""

    text: str
    citations: tuple[int, ...] = ()
    supports: tuple[float, ...] = ()
    claims: bool = True  # whether it has words that could be supported


@dataclass(frozen=True)
class CitedText:
    """An answer without its marks, sentence by sentence."""

    text: str
    sentences: tuple[CitedSentence, ...]
    marks: int = 0  # that the writer wrote
    false_marks: int = 0  # of these, ones that name no passage

    @property
    def citations(self) -> list[int]:
        """The passages that some sentence cites, ascending."""
        return sorted({number for sentence in self.sentences for number in sentence.citations})


def strip_citations(text: str) -> tuple[str, list[tuple[int, int]]]:
    """A text without marks like [2] or [1, 3], and each cited number with its position in the text without marks."""
    pieces: list[str] = []
    citations: list[tuple[int, int]] = []
    start = length = 0
    for mark in CITATION_MARK.finditer(text):
        pieces.append(text[start:mark.start()])
        length += mark.start() - start
        citations += [(length, int(number)) for number in NUMBER.findall(mark.group())]
        start = mark.end()
    pieces.append(text[start:])
    stripped = "".join(pieces)
    indent = len(stripped) - len(stripped.lstrip())
    return stripped.strip(), [(max(0, position - indent), number) for position, number in citations]


def content_words(text: str) -> list[str]:
    """The content words of a text as stems, each as often as it stands there."""
    return [stem(word) if len(word) > 3 else word for word in tokenize_words(text) if word not in STOPWORDS]


def word_support(sentence: str, passage: str) -> float:
    """How far a passage supports a sentence, 0 to 1; NaN for a sentence without content words."""
    claim_words = content_words(sentence)
    if not claim_words:
        return NAN
    passage_words = set(content_words(passage))
    shared = sum(word in passage_words for word in claim_words) / len(claim_words)
    sentence_words = tokenize_words(sentence)
    quoted = copied_share(sentence_words, tokenize_words(passage),
                          size=QUOTE_WORDS) if len(sentence_words) >= QUOTE_WORDS else shared
    unsupported = unsupported_numbers(sentence, passage) or unsupported_names(sentence, passage)
    return (2 * shared + quoted) / 3 * (0.5 if unsupported else 1.0)


def word_supports(pairs: Sequence[tuple[str, str]]) -> list[float]:
    """The support of each (passage, sentence) by their words."""
    return [word_support(sentence, passage) for passage, sentence in pairs]


def cite(text: str, passages: Sequence[str], *, scorer: SupportScorer = word_supports,
         threshold: float = THRESHOLD) -> CitedText:
    """An answer with the citations of each sentence: the marks that the writer wrote, else the passages that support it
    best.

    Marks that name no passage are removed and counted.
    """
    stripped, marks = strip_citations(text)
    spans = sentence_spans(stripped)
    marks_by_sentence: list[set[int]] = [set() for _ in spans]
    for position, number in marks:
        if 1 <= number <= len(passages) and spans:
            marks_by_sentence[max(0, sum(start < position for start, _ in spans) - 1)].add(number)
    pairs = [(passage, stripped[start:end]) for start, end in spans for passage in passages]
    supports = np.asarray(scorer(pairs), dtype=np.float64).reshape(len(spans), len(passages))
    cited_sentences = []
    for (start, end), sentence_marks, sentence_supports in zip(spans, marks_by_sentence, supports, strict=True):
        citations = sorted(sentence_marks) or best_passages(sentence_supports, threshold)
        claims = bool(content_words(stripped[start:end]))
        cited_supports = tuple(float(np.nan_to_num(sentence_supports[number - 1])) for number in citations)
        cited_sentences.append(CitedSentence(stripped[start:end], tuple(citations), cited_supports, claims))
    return CitedText(stripped, tuple(cited_sentences), len(marks),
                     sum(not 1 <= number <= len(passages) for _, number in marks))


def best_passages(supports: Floats, threshold: float) -> list[int]:
    """The numbers of the passages that support a sentence best, at most MAX_CITATIONS, ascending; none where none
    reaches the threshold.
    """
    finite = np.nan_to_num(supports, nan=-1.0)
    order = [int(index) for index in np.argsort(-finite, kind="stable")[:MAX_CITATIONS]]
    return sorted(index + 1 for index in order if finite[index] >= max(threshold, finite[order[0]] - CITATION_MARGIN))


def measures(cited: CitedText, *, threshold: float = THRESHOLD) -> dict[str, float]:
    """The measures of one answer, for `scores`; NaN where an answer has none (no sentence, no citation)."""
    claiming = [sentence for sentence in cited.sentences if sentence.claims]
    supports = [value for sentence in cited.sentences for value in sentence.supports]
    supported = [any(value >= threshold for value in sentence.supports) for sentence in claiming]
    return {
        "grounding": float(np.mean([max(sentence.supports, default=0.0) for sentence in claiming])) if claiming
        else NAN, "citation_precision": float(np.mean([value >= threshold for value in supports])) if supports else NAN,
        "citation_recall": float(np.mean(supported)) if claiming else NAN,
        "cited_by_writer": float(cited.marks > cited.false_marks) if claiming else NAN,
        "false_marks": cited.false_marks / cited.marks if cited.marks else NAN,
    }


def scores(measures: Any, weights: Floats) -> dict[str, NDArray[Any]]:
    """Means over the answers that have a value, (R,)."""
    return {name: weighted_nanmean(measures[name], weights) for name in DEFINITIONS}
