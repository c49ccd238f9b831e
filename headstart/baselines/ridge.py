"""Ridge regression that chooses its own strength on a part of the training rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

STRENGTHS = (0.1, 1.0, 10.0, 100.0)


@dataclass(frozen=True)
class Ridge:
    """A fitted ridge regression."""

    model: Any
    vectorizer: Any = None

    @property
    def size_bytes(self) -> int:
        """Of its numbers and its words."""
        words = sum(len(word) + 8 for word in self.vectorizer.vocabulary_) if self.vectorizer is not None else 0
        return int(8 * (self.model.coef_.size + 1)) + words

    def numbers(self, rows: Any) -> NDArray[np.float64]:
        """(M,) for texts, or for states (M, W) where it was fitted on those."""
        matrix = self.vectorizer.transform(rows) if self.vectorizer is not None else rows
        found: NDArray[np.float64] = np.asarray(self.model.predict(matrix), dtype=np.float64)
        return found


def fit_ridge(matrix: Any, gold: NDArray[np.float64], seed: int, vectorizer: Any = None) -> Ridge:
    """Choose the strength by squared error on a seeded fifth, then fit on all rows."""
    from sklearn.linear_model import Ridge as Plain

    order = np.random.default_rng([seed, 19]).permutation(len(gold))
    cut = max(1, len(gold) // 5)
    judge, learn = order[:cut], order[cut:]
    best, solver = STRENGTHS[1], "lsqr" if vectorizer is not None else "auto"
    if len(learn) > 1:
        errors = []
        for strength in STRENGTHS:
            answers = Plain(alpha=strength, solver=solver).fit(matrix[learn], gold[learn]).predict(matrix[judge])
            errors.append(float(np.mean((answers - gold[judge]) ** 2)))
        best = STRENGTHS[int(np.argmin(errors))]
    return Ridge(Plain(alpha=best, solver=solver).fit(matrix, gold), vectorizer)


def fit_tfidf(texts: Sequence[str], gold: NDArray[np.float64], seed: int) -> Ridge:
    """Ridge regression on TF-IDF of word 1- and 2-grams."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, max_features=50_000, token_pattern=r"(?u)\b\w+\b|\S")
    return fit_ridge(vectorizer.fit_transform(texts), gold, seed, vectorizer)
