"""The cheap rivals of multilabel classification, in the form of its predictions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headstart.contract import Baseline, Prediction

if TYPE_CHECKING:
    from headstart.contract import Floats


def as_prediction(row: int, labels: Sequence[str], shares: Sequence[float], thresholds: Sequence[float]) -> Prediction:
    """Probabilities (C,) in the user's terms."""
    chosen = [(label, share) for label, share, least in zip(labels, shares, thresholds, strict=True) if share >= least]
    return Prediction(row, {"prediction": [label for label, _ in chosen], "probability": [share for _, share in chosen],
                            "probabilities": dict(zip(labels, shares, strict=True))})


@dataclass(frozen=True)
class Fitted:
    """A fitted rival: `shares(examples, states)` gives (M, C)."""

    labels: tuple[str, ...]
    shares: Callable[[Sequence[Any], Floats | None], Floats]
    size_bytes: int

    def predict(self, examples: Sequence[Any], states: Floats | None) -> list[Prediction]:
        """One prediction an example, at threshold 0.5."""
        half = [0.5] * len(self.labels)
        return [as_prediction(example.row, self.labels, row.tolist(), half)
                for example, row in zip(examples, self.shares(examples, states), strict=True)]


def baselines(labels: tuple[str, ...]) -> tuple[Baseline, ...]:
    """Label shares, TF-IDF + logistic regression, frozen encoder + logistic regression, each label by itself."""
    def gold(examples: Sequence[Any]) -> Any:
        import numpy as np

        return np.asarray([[label in (example.labels or ()) for label in labels] for example in examples], dtype=np.int64)

    def shares(examples: Sequence[Any], states: Floats | None, seed: int) -> Fitted:
        import numpy as np

        means = gold(examples).mean(axis=0)
        return Fitted(labels, lambda rows, _: np.tile(means, (len(rows), 1)), means.nbytes)

    def each(matrix: Any, examples: Sequence[Any], seed: int) -> tuple[Callable[[Any], Any], int]:
        import numpy as np

        from headstart.baselines.linear import fit_logistic

        held = gold(examples)
        models = [fit_logistic(matrix, held[:, place], 2, seed) for place in range(len(labels))]
        return (lambda rows: np.stack([model.probabilities(rows)[:, 1] for model in models], axis=1)), 8 * sum(one.size for one in models)

    def tfidf(examples: Sequence[Any], states: Floats | None, seed: int) -> Fitted:
        from sklearn.feature_extraction.text import TfidfVectorizer

        vectorizer = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, max_features=50_000, token_pattern=r"(?u)\b\w+\b|\S")
        answer, size = each(vectorizer.fit_transform([example.both for example in examples]), examples, seed)
        words = sum(len(word) + 8 for word in vectorizer.vocabulary_)
        return Fitted(labels, lambda rows, _: answer(vectorizer.transform([row.both for row in rows])), size + words)

    def frozen(examples: Sequence[Any], states: Floats | None, seed: int) -> Fitted:
        answer, size = each(states, examples, seed)
        return Fitted(labels, lambda _, held: answer(held), size)

    return (Baseline("label shares", shares), Baseline("tf-idf + logistic regression", tfidf),
            Baseline("frozen encoder + logistic regression", frozen, needs_states=True))
