"""What retrieval shares with its cheap rivals: examples, keys of texts, places among all passages.

M examples, D different passages, W width.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headstart.contract import Baseline, Example, Prediction

if TYPE_CHECKING:
    from numpy.typing import NDArray

LISTED = 1000  # passages that are listed for a question
BLOCK = 256  # questions that are compared with all passages at once


@dataclass(frozen=True)
class Asked(Example):
    """A question, a passage that answers it, further ones, and passages that do not."""

    question: str
    passage: str
    more: tuple[str, ...] = ()
    negatives: tuple[str, ...] = ()


def same(text: str) -> str:
    """A text by which equal ones are known: small letters, single spaces."""
    return " ".join(text.lower().split())


def key(text: str) -> int:
    """A number by which equal texts are known, below 2^63."""
    return int.from_bytes(hashlib.blake2b(same(text).encode(), digest_size=8).digest(), "big") >> 1


def documents(examples: Sequence[Asked]) -> tuple[list[str], list[int], list[set[int]]]:
    """The different passages, each example's own, and all that answer its question."""
    places: dict[str, int] = {}
    texts: list[str] = []
    own: list[int] = []
    right: dict[str, set[int]] = {}
    for example in examples:
        if same(example.passage) not in places:
            places[same(example.passage)] = len(texts)
            texts.append(example.passage)
        own.append(places[same(example.passage)])
        right.setdefault(same(example.question), set()).add(own[-1])
    return texts, own, [right[same(example.question)] for example in examples]


def ranked(examples: Sequence[Asked], predictions: Sequence[Prediction]) -> Sequence[Prediction]:
    """The predictions with their scores among all passages; vectors of questions and passages stand in their details."""
    import numpy as np

    if not predictions or "ndcg_10" in predictions[0].detail:
        return predictions
    texts, own, _ = documents(examples)
    first = {place: number for number, place in reversed(list(enumerate(own)))}
    questions = np.stack([one.detail["question"] for one in predictions])
    passages = np.stack([predictions[first[place]].detail["passage"] for place in range(len(texts))])
    listed: list[Any] = []
    for begin in range(0, len(questions), BLOCK):
        likeness = questions[begin:begin + BLOCK] @ passages.T
        listed += np.argsort(-likeness, axis=1, kind="stable")[:, :LISTED].tolist()
    return scored(examples, predictions, listed)


def scored(examples: Sequence[Asked], predictions: Sequence[Prediction], listed: Sequence[Sequence[int]]) -> list[Prediction]:
    """The predictions with the scores of these lists of passages, best first."""
    from headstart.metrics.ranking import per_query

    right = documents(examples)[2]
    found = per_query(listed, [dict.fromkeys(places, 1.0) for places in right])
    return [dataclasses.replace(one, detail={**one.detail, **{name: float(values[number]) for name, values in found.items()}})
            for number, one in enumerate(predictions)]


@dataclass(frozen=True)
class Words:
    """BM25 among the passages."""

    size_bytes: int

    def predict(self, examples: Sequence[Any], states: Any) -> list[Prediction]:
        """One list of passages a question."""
        from headstart.search.sparse import Sparse

        texts, own, _ = documents(examples)
        hits = Sparse.build(texts).search([example.question for example in examples], k=min(LISTED, len(texts)))
        lists = hits.listed()
        likeness = [dict(zip(rows, scores, strict=False)) for rows, scores in zip(lists, hits.scores, strict=True)]
        plain = [Prediction(example.row, {"similarity": float(held.get(place, 0.0))})
                 for example, held, place in zip(examples, likeness, own, strict=True)]
        return scored(examples, plain, lists)


@dataclass(frozen=True)
class Untrained:
    """The encoder as it was, its states side by side: question, passage."""

    size_bytes: int = 1

    def predict(self, examples: Sequence[Any], states: NDArray[Any]) -> list[Prediction]:
        """One list of passages a question."""
        import numpy as np

        parts = [part / np.maximum(np.linalg.norm(part, axis=1, keepdims=True), 1e-12) for part in np.split(states, 2, axis=1)]
        plain = [Prediction(example.row, {"similarity": float(question @ passage)}, {"question": question, "passage": passage})
                 for example, question, passage in zip(examples, *parts, strict=True)]
        return list(ranked(examples, plain))


def fit_words(examples: Sequence[Any], states: Any, seed: int) -> Words:
    """Nothing is learned; raises ValueError where bm25s is missing."""
    from headstart.errors import UserError
    from headstart.search.sparse import library

    try:
        library()
    except UserError as error:
        raise ValueError(f"{error.message} {error.fix}") from None
    return Words(sum(len(example.passage) for example in examples) or 1)


def fit_untrained(examples: Sequence[Any], states: Any, seed: int) -> Untrained:
    """Nothing is learned."""
    return Untrained()


BASELINES = (Baseline("BM25", fit_words), Baseline("untrained encoder", fit_untrained, needs_states=True))
