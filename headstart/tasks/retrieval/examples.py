"""Examples of retrieval, rankings among all passages, and baselines.

M examples, D different passages, W width.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headstart.contract import Baseline, Example, Prediction
from headstart.errors import UserError

if TYPE_CHECKING:
    from numpy.typing import NDArray

RANKING_DEPTH = 1000  # passages in the ranking of a question
MAX_FIRST = 3  # passages at the top of a ranking that the report shows
QUESTION_BLOCK = 256  # questions that are compared with all passages at once


@dataclass(frozen=True)
class QuestionPassages(Example):
    """A question, a passage that answers it, further ones, and negatives."""

    question: str
    passage: str
    other_passages: tuple[str, ...] = ()
    negatives: tuple[str, ...] = ()


def normalised(text: str) -> str:
    """The text in lower case with single spaces; equal texts have the same."""
    return " ".join(text.lower().split())


def text_key(text: str) -> int:
    """A hash of the normalised text, below 2^63."""
    return int.from_bytes(hashlib.blake2b(normalised(text).encode(), digest_size=8).digest(), "big") >> 1


def distinct_passages(examples: Sequence[QuestionPassages]) -> tuple[list[str], list[int], list[set[int]]]:
    """The distinct passages; and for each example the index of its passage, and of all that answer its question."""
    passage_indices: dict[str, int] = {}
    texts: list[str] = []
    own_indices: list[int] = []
    relevant: dict[str, set[int]] = {}
    for example in examples:
        if normalised(example.passage) not in passage_indices:
            passage_indices[normalised(example.passage)] = len(texts)
            texts.append(example.passage)
        own_indices.append(passage_indices[normalised(example.passage)])
        relevant.setdefault(normalised(example.question), set()).add(own_indices[-1])
    return texts, own_indices, [relevant[normalised(example.question)] for example in examples]


def rank_passages(examples: Sequence[QuestionPassages], predictions: Sequence[Prediction]) -> Sequence[Prediction]:
    """The predictions with their ranking scores among all passages, from the vectors in their details."""
    import numpy as np

    if not predictions or "ndcg_10" in predictions[0].detail:
        return predictions
    texts, own_indices, _ = distinct_passages(examples)
    first_example = {passage_index: example_index
                     for example_index, passage_index in reversed(list(enumerate(own_indices)))}
    questions = np.stack([prediction.detail["question"] for prediction in predictions])
    passages = np.stack([predictions[first_example[index]].detail["passage"] for index in range(len(texts))])
    rankings: list[Any] = []
    for start in range(0, len(questions), QUESTION_BLOCK):
        similarities = questions[start:start + QUESTION_BLOCK] @ passages.T
        rankings += np.argsort(-similarities, axis=1, kind="stable")[:, :RANKING_DEPTH].tolist()
    return with_ranking_scores(examples, predictions, rankings)


def with_ranking_scores(examples: Sequence[QuestionPassages], predictions: Sequence[Prediction],
                        rankings: Sequence[Sequence[int]]) -> list[Prediction]:
    """The predictions with the scores of these rankings of passages, best first."""
    from headstart.metrics.ranking import per_query

    relevant = distinct_passages(examples)[2]
    scores = per_query(rankings, [dict.fromkeys(passage_indices, 1.0) for passage_indices in relevant])
    details: list[dict[str, Any]] = [{name: float(values[index]) for name, values in scores.items()}
                                     | {"first": tuple(rankings[index][:MAX_FIRST]),
                                        "rank": rank_of(rankings[index], relevant[index])}
                                     for index in range(len(predictions))]
    return [dataclasses.replace(prediction, detail={**prediction.detail, **detail})
            for prediction, detail in zip(predictions, details, strict=True)]


def rank_of(ranking: Sequence[int], relevant: set[int]) -> int | None:
    """The rank of the first passage that answers, from 1; None where none is listed."""
    return next((rank for rank, passage_index in enumerate(ranking, 1) if passage_index in relevant), None)


@dataclass(frozen=True)
class BM25Baseline:
    """BM25 over the passages."""

    size_bytes: int

    def predict(self, examples: Sequence[Any], states: Any) -> list[Prediction]:
        """One prediction for each question, with its ranking scores."""
        from headstart.search.sparse import SparseIndex

        texts, own_indices, _ = distinct_passages(examples)
        hits = SparseIndex.build(texts).search([example.question for example in examples],
                                               k=min(RANKING_DEPTH, len(texts)))
        rankings = hits.rankings()
        similarities = [dict(zip(rows, scores, strict=False))
                        for rows, scores in zip(rankings, hits.scores, strict=True)]
        predictions = [Prediction(example.row, {"similarity": float(similarity_of.get(passage_index, 0.0))})
                       for example, similarity_of, passage_index in zip(examples, similarities, own_indices,
                                                                        strict=True)]
        return with_ranking_scores(examples, predictions, rankings)


@dataclass(frozen=True)
class UntrainedEncoder:
    """The encoder before training; its states are concatenated: question, passage."""

    size_bytes: int = 1

    def predict(self, examples: Sequence[Any], states: NDArray[Any]) -> list[Prediction]:
        """One prediction for each question, with its ranking scores."""
        import numpy as np

        unit_vectors = [vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
                        for vectors in np.split(states, 2, axis=1)]
        predictions = [Prediction(example.row, {"similarity": float(question @ passage)},
                                  {"question": question, "passage": passage})
                       for example, question, passage in zip(examples, *unit_vectors, strict=True)]
        return list(rank_passages(examples, predictions))


def fit_bm25(examples: Sequence[Any], states: Any, seed: int) -> BM25Baseline:
    """Nothing is learned; raises ValueError where bm25s is missing."""
    from headstart.search.sparse import import_bm25s

    try:
        import_bm25s()
    except UserError as error:
        raise ValueError(f"{error.message} {error.fix}") from None
    return BM25Baseline(sum(len(example.passage) for example in examples) or 1)


def fit_untrained(examples: Sequence[Any], states: Any, seed: int) -> UntrainedEncoder:
    """Nothing is learned."""
    return UntrainedEncoder()


BASELINES = (Baseline("BM25", fit_bm25), Baseline("untrained encoder", fit_untrained, needs_states=True))
