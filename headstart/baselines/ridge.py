"""Ridge regression that selects its regularization strength on a part of the training rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

STRENGTHS = (0.1, 1.0, 10.0, 100.0)


@dataclass(frozen=True)
class RidgeRegressor:
    """A fitted ridge regression."""

    model: Any
    vectorizer: Any = None

    @property
    def size_bytes(self) -> int:
        """Of its numbers and its words."""
        vocabulary_bytes = sum(len(word) + 8
                               for word in self.vectorizer.vocabulary_) if self.vectorizer is not None else 0
        return int(8 * (self.model.coef_.size + 1)) + vocabulary_bytes

    def numbers(self, rows: Any) -> NDArray[np.float64]:
        """(M,) for texts, or for states (M, W) where it was fitted on those."""
        matrix = self.vectorizer.transform(rows) if self.vectorizer is not None else rows
        predicted: NDArray[np.float64] = np.asarray(self.model.predict(matrix), dtype=np.float64)
        return predicted


def fit_ridge(matrix: Any, gold: NDArray[np.float64], seed: int, vectorizer: Any = None) -> RidgeRegressor:
    """Select the regularization strength by squared error on a seeded fifth, then fit on all rows."""
    from sklearn.linear_model import Ridge as SklearnRidge

    order = np.random.default_rng([seed, 19]).permutation(len(gold))
    validation_size = max(1, len(gold) // 5)
    validation_rows, fit_rows = order[:validation_size], order[validation_size:]
    best_strength, solver = STRENGTHS[1], "lsqr" if vectorizer is not None else "auto"
    if len(fit_rows) > 1:
        errors = []
        for strength in STRENGTHS:
            predicted = SklearnRidge(alpha=strength, solver=solver).fit(matrix[fit_rows],
                                                                        gold[fit_rows]).predict(matrix[validation_rows])
            errors.append(float(np.mean((predicted - gold[validation_rows]) ** 2)))
        best_strength = STRENGTHS[int(np.argmin(errors))]
    return RidgeRegressor(SklearnRidge(alpha=best_strength, solver=solver).fit(matrix, gold), vectorizer)


def fit_tfidf(texts: Sequence[str], gold: NDArray[np.float64], seed: int) -> RidgeRegressor:
    """Ridge regression on TF-IDF of word 1- and 2-grams."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, max_features=50_000,
                                 token_pattern=r"(?u)\b\w+\b|\S")
    return fit_ridge(vectorizer.fit_transform(texts), gold, seed, vectorizer)
