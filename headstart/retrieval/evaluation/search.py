"""How well an index finds what answers: recall, ranks and time of each way to search, on the same questions, with intervals.

M questions, R weightings.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from headstart.contract import Json, Score
from headstart.errors import Exit, UserError
from headstart.metrics import intervals, ranking
from headstart.metrics.means import known_mean
from headstart.reports.score_table import interval_words
from headstart.retrieval.documents.passage import Found
from headstart.retrieval.mining.questions import Question
from headstart.retrieval.mining.relevance import Relevance
from headstart.search.sparse import tokenize

if TYPE_CHECKING:
    from headstart.retrieval.index.index import Index

Floats = NDArray[np.float64]
Search = Callable[[Sequence[str], int], list[list[Found]]]
LISTED = 100  # passages that are listed for a question
BLOCK = 256  # questions that are searched for at once
TIMED = 50  # questions that are searched for one by one, for the time of each
DEFINITIONS = {
    **ranking.DEFINITIONS,
    "recall_100": "share of the relevant passages that stand in the first 100 places",
    "hit_5": "share of the questions with a relevant passage in the first 5 places",
    "idf_recall": "share of the answer's words, weighed by ln(passages / passages with the word), that stand in the first 10 passages",
}


@dataclass(frozen=True)
class Measured:
    """One way to search: what it listed, its measures (M,) and scores, and milliseconds a question, one by one."""

    name: str
    listed: list[list[Found]]
    measures: Mapping[str, Floats]
    scores: Mapping[str, Score]
    milliseconds: float

    def json(self) -> dict[str, Json]:
        """The same as scores.json holds it."""
        return {**{name: score.json() for name, score in self.scores.items()}, "milliseconds": round(self.milliseconds, 3)}


@dataclass(frozen=True)
class Asked:
    """Questions with the rows that answer them, grouped by their document."""

    questions: Sequence[Question]
    right: Sequence[Sequence[int]]
    groups: NDArray[np.int64] | None
    foreign: Sequence[Question]  # that no passage answers

    @property
    def left_out(self) -> int:
        """How many questions no passage answers."""
        return len(self.foreign)


def with_answers(index: Index, questions: Sequence[Question], *, answer_score: float) -> Asked:
    """The questions that a passage of the index answers; raises UserError (65) when there is none."""
    relevance = Relevance(index)
    pairs = [(one, relevance.rows(one, answer_score=answer_score)) for one in questions]
    kept = [pair for pair in pairs if pair[1]]
    if not kept:
        raise UserError("No passage of the index answers any of these questions.", exit=Exit.DATA,
                        fix="Index the documents that the answers are from, or name the column of their ids with --document.")
    numbers: dict[Any, int] = {}
    groups = [numbers.setdefault(one.document if one.document is not None else one.row, len(numbers)) for one, _ in kept]
    held = None if len(numbers) == len(kept) else np.asarray(groups, dtype=np.int64)
    return Asked([one for one, _ in kept], [rows for _, rows in kept], held, [one for one, rows in pairs if not rows])


def measure(name: str, search: Search, asked: Asked, frequencies: Mapping[str, int], passages: int, *, resamples: int,
            seed: int) -> Measured:
    """One way to search on questions with known answers."""
    texts = [one.text for one in asked.questions]
    search(texts[:1], LISTED)  # warm
    begun = time.perf_counter()
    for text in texts[:TIMED]:
        search([text], 10)
    each = (time.perf_counter() - begun) / len(texts[:TIMED]) * 1000
    listed = [one for begin in range(0, len(texts), BLOCK) for one in search(texts[begin:begin + BLOCK], LISTED)]
    rows = [[one.row for one in held] for held in listed]
    gains: list[Mapping[Any, float]] = [dict.fromkeys(right, 1.0) for right in asked.right]
    found = ranking.per_query(rows, gains)
    found["recall_100"] = ranking.recall(rows, gains, k=LISTED)
    found["hit_5"] = np.array([float(bool(set(held[:5]) & set(right))) for held, right in zip(rows, asked.right, strict=True)])
    found["idf_recall"] = np.array([idf_recall(one, held[:10], frequencies, passages)
                                    for one, held in zip(asked.questions, listed, strict=True)])
    return Measured(name, listed, found, scores(found, asked, resamples=resamples, seed=seed), each)


def mean_of(measures: Mapping[str, Floats]) -> intervals.Scorer:
    """Means of all measures under a weighting of the questions."""
    return lambda weights: {name: known_mean(values, weights) for name, values in measures.items()}


def scores(measures: Mapping[str, Floats], asked: Asked, *, resamples: int, seed: int) -> dict[str, Score]:
    """Means with intervals, documents resampled whole."""
    count = len(asked.questions)
    held = intervals.bootstrap(mean_of(measures), count, resamples, seed, asked.groups)
    return {name: Score(one.value, one.low, one.high, count,
                        intervals.signature(name, DEFINITIONS[name], count, resamples, seed, asked.groups), True,
                        one.reason if one.value is None or one.low is None else None)
            for name, one in held.items()}


def difference(first: Measured, second: Measured, asked: Asked, *, resamples: int, seed: int) -> dict[str, Json]:
    """first minus second on the same questions, with intervals."""
    held = intervals.paired(mean_of(first.measures), mean_of(second.measures), len(asked.questions), resamples, seed, asked.groups)
    return {name: {"value": one.value, "low": one.low, "high": one.high} for name, one in held.items()}


def document_frequencies(index: Index) -> Counter[str]:
    """In how many passages each word stands."""
    found: Counter[str] = Counter()
    for passage in index.passages:
        found.update(set(tokenize(passage.text)))
    return found


def idf_recall(question: Question, listed: Sequence[Found], frequencies: Mapping[str, int], passages: int) -> float:
    """Share of the first answer's different words, each weighed by how rare it is, that the passages hold; NaN without an answer.

    The measure of the demo of long-form answers of 2020 (ELI5, IDF-recall).
    """
    if not question.answers:
        return math.nan
    held = {word for one in listed for word in tokenize(one.passage.text)}
    weights = {word: math.log((1 + passages) / (1 + frequencies.get(word, 0))) for word in set(tokenize(question.answers[0]))}
    whole = sum(weights.values())
    return sum(weight for word, weight in weights.items() if word in held) / whole if whole else math.nan


def table(found: Sequence[Measured], differences: Mapping[str, Mapping[str, Any]]) -> str:
    """Each way to search on a line, scores in columns, then the differences."""
    shown = ("recall_10", "ndcg_10", "mrr", "recall_100", "hit_5", "idf_recall")
    lines = [f"{'search by':<22}" + "".join(f"{name:<26}" for name in shown) + "ms a question"]
    for one in found:
        cells = [interval_words(vars(one.scores[name])) for name in shown]
        lines.append(f"{one.name:<22}" + "".join(f"{cell:<26}" for cell in cells) + f"{one.milliseconds:.1f}")
    for name, held in differences.items():
        cells = [f"{score} {interval_words(held[score], sign='+')}" for score in ("recall_10", "ndcg_10", "mrr")]
        lines.append(f"{name}: {', '.join(cells)}")
    return "\n".join(lines)
