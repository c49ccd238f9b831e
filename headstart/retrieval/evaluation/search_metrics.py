"""How well an index finds what answers: recall, ranks and time of each search, on the same questions, with intervals.

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
from headstart.metrics.nan_means import weighted_nanmean
from headstart.reports.score_table import interval_text
from headstart.retrieval.documents.passage import ScoredPassage
from headstart.retrieval.mining.questions import Question
from headstart.retrieval.mining.relevance import Relevance
from headstart.search.sparse import tokenize

if TYPE_CHECKING:
    from headstart.retrieval.index.index import Index

FloatArray = NDArray[np.float64]
Search = Callable[[Sequence[str], int], list[list[ScoredPassage]]]
RANKING_DEPTH = 100  # passages that are listed for a question
BLOCK = 256  # questions that are searched for at once
TIMED = 50  # questions that are searched for one by one, for the time of each
DEFINITIONS = {
    **ranking.DEFINITIONS,
    "recall_100": "share of the relevant passages that are among the first 100",
    "hit_5": "share of the questions with a relevant passage among the first 5",
    "idf_recall": "share of the answer's words, weighted by ln(passages / passages with the word), that occur in the "
                  "first 10 passages",
}


@dataclass(frozen=True)
class SearchMetrics:
    """One search: its hits, its measures (M,) and scores, and milliseconds a question, one by one."""

    name: str
    hits: list[list[ScoredPassage]]
    measures: Mapping[str, FloatArray]
    scores: Mapping[str, Score]
    milliseconds: float

    def json(self) -> dict[str, Json]:
        """The same as scores.json holds it."""
        return {**{name: score.json() for name, score in self.scores.items()},
                "milliseconds": round(self.milliseconds, 3)}


@dataclass(frozen=True)
class JudgedQuestions:
    """Questions with the rows that answer them, grouped by their document."""

    questions: Sequence[Question]
    relevant: Sequence[Sequence[int]]
    groups: NDArray[np.int64] | None
    unanswerable: Sequence[Question]  # that no passage answers

    @property
    def unanswerable_count(self) -> int:
        """How many questions no passage answers."""
        return len(self.unanswerable)


def judge_questions(index: Index, questions: Sequence[Question], *, answer_score: float) -> JudgedQuestions:
    """The questions that a passage of the index answers; raises UserError (65) when there is none."""
    relevance = Relevance(index)
    pairs = [(question, relevance.relevant_rows(question, answer_score=answer_score)) for question in questions]
    answerable = [pair for pair in pairs if pair[1]]
    if not answerable:
        raise UserError("No passage of the index answers any of these questions.", exit=Exit.DATA,
                        fix="Index the documents that the answers are from, or name the column of their ids with "
                            "--document.")
    id_of_group: dict[Any, int] = {}
    group_ids = [id_of_group.setdefault(question.document if question.document is not None else question.row,
                                        len(id_of_group))
                 for question, _ in answerable]
    groups = None if len(id_of_group) == len(answerable) else np.asarray(group_ids, dtype=np.int64)
    return JudgedQuestions([question for question, _ in answerable], [rows for _, rows in answerable], groups,
                           [question for question, rows in pairs if not rows])


def measure_search(name: str, search: Search, judged: JudgedQuestions, frequencies: Mapping[str, int], passages: int, *,
                   resamples: int, seed: int, precision: str = "") -> SearchMetrics:
    """The metrics of one search on questions with known answers; `precision` is what its models compute in."""
    texts = [question.text for question in judged.questions]
    search(texts[:1], RANKING_DEPTH)  # warm
    started = time.perf_counter()
    for text in texts[:TIMED]:
        search([text], 10)
    milliseconds = (time.perf_counter() - started) / len(texts[:TIMED]) * 1000
    hits = [question_hits for start in range(0, len(texts), BLOCK)
            for question_hits in search(texts[start:start + BLOCK], RANKING_DEPTH)]
    rows = [[hit.row for hit in question_hits] for question_hits in hits]
    gains: list[Mapping[Any, float]] = [dict.fromkeys(relevant, 1.0) for relevant in judged.relevant]
    measures = ranking.per_query(rows, gains)
    measures["recall_100"] = ranking.recall(rows, gains, k=RANKING_DEPTH)
    measures["hit_5"] = np.array([float(bool(set(ranked_rows[:5]) & set(relevant)))
                                  for ranked_rows, relevant in zip(rows, judged.relevant, strict=True)])
    measures["idf_recall"] = np.array([idf_recall(question, question_hits[:10], frequencies, passages)
                                       for question, question_hits in zip(judged.questions, hits, strict=True)])
    search_scores = scores(measures, judged, resamples=resamples, seed=seed, precision=precision)
    return SearchMetrics(name, hits, measures, search_scores, milliseconds)


def means(measures: Mapping[str, FloatArray]) -> intervals.Scorer:
    """Means of all measures under a weighting of the questions."""
    return lambda weights: {name: weighted_nanmean(values, weights) for name, values in measures.items()}


def scores(measures: Mapping[str, FloatArray], judged: JudgedQuestions, *, resamples: int, seed: int,
           precision: str = "") -> dict[str, Score]:
    """Means with intervals, documents resampled whole."""
    count = len(judged.questions)
    bootstrapped = intervals.bootstrap(means(measures), count, resamples, seed, judged.groups)
    return {name: Score(interval.value, interval.low, interval.high, count,
                        intervals.signature(name, DEFINITIONS[name], count, resamples, seed, judged.groups, precision),
                        True,
                        interval.reason if interval.value is None or interval.low is None else None)
            for name, interval in bootstrapped.items()}


def difference(first: SearchMetrics, second: SearchMetrics, judged: JudgedQuestions, *, resamples: int,
               seed: int) -> dict[str, Json]:
    """first minus second on the same questions, with intervals."""
    intervals_by_name = intervals.paired_bootstrap(means(first.measures), means(second.measures), len(judged.questions),
                                                   resamples, seed, judged.groups)
    return {name: {"value": interval.value, "low": interval.low, "high": interval.high}
            for name, interval in intervals_by_name.items()}


def document_frequencies(index: Index) -> Counter[str]:
    """In how many passages each word stands."""
    frequencies: Counter[str] = Counter()
    for passage in index.passages:
        frequencies.update(set(tokenize(passage.text)))
    return frequencies


def idf_recall(question: Question, hits: Sequence[ScoredPassage], frequencies: Mapping[str, int],
               passages: int) -> float:
    """Share of the first answer's different words, each weighed by how rare it is, that the passages hold; NaN without
    an answer.

    The measure of the demo of long-form answers of 2020 (ELI5, IDF-recall).
    """
    if not question.answers:
        return math.nan
    passage_words = {word for hit in hits for word in tokenize(hit.passage.text)}
    weights = {word: math.log((1 + passages) / (1 + frequencies.get(word, 0)))
               for word in set(tokenize(question.answers[0]))}
    total = sum(weights.values())
    return sum(weight for word, weight in weights.items() if word in passage_words) / total if total else math.nan


def table(searches: Sequence[SearchMetrics], differences: Mapping[str, Mapping[str, Any]]) -> str:
    """A line for each search, scores in columns, then the differences."""
    columns = ("recall_10", "ndcg_10", "mrr", "recall_100", "hit_5", "idf_recall")
    lines = [f"{'search by':<22}" + "".join(f"{name:<26}" for name in columns) + "ms a question"]
    for search in searches:
        cells = [interval_text(vars(search.scores[name])) for name in columns]
        lines.append(f"{search.name:<22}" + "".join(f"{cell:<26}" for cell in cells) + f"{search.milliseconds:.1f}")
    for name, scores in differences.items():
        cells = [f"{score} {interval_text(scores[score], sign='+')}" for score in ("recall_10", "ndcg_10", "mrr")]
        lines.append(f"{name}: {', '.join(cells)}")
    return "\n".join(lines)
