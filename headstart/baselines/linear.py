"""Logistic regression that chooses its own strength and class weights on a part of the training rows."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

STRENGTHS = (1.0, 10.0)
CHOOSE_ROWS = 4_000  # the choice is made on at most this many rows
CHOOSE_CELLS = 120_000  # rows · classes beyond which only the default is fitted


@dataclass(frozen=True)
class Linear:
    """A fitted logistic regression over all classes; ones absent from training have probability 0."""

    model: Any
    classes: int
    choice: str

    @property
    def size(self) -> int:
        """How many numbers it holds."""
        return int(self.model.coef_.size + self.model.intercept_.size)

    def probabilities(self, matrix: Any) -> NDArray[np.float64]:
        """(M, C)."""
        found = np.zeros((matrix.shape[0], self.classes))
        found[:, self.model.classes_] = self.model.predict_proba(matrix)
        return found


def fit_logistic(matrix: Any, gold: NDArray[np.int64], classes: int, seed: int) -> Linear:
    """Choose C from 1 and 10 and class weights from none and balanced by macro F1 on a fifth, then fit on all rows."""
    if len(np.unique(gold)) < 2:
        return Linear(Constant(int(gold[0])), classes, "one class")
    best = choose(matrix, gold, seed)
    return Linear(fitted(matrix, gold, *best), classes, f"C={best[0]:g}, class weight {best[1] or 'none'}")


def choose(matrix: Any, gold: NDArray[np.int64], seed: int) -> tuple[float, str | None]:
    """The best pair on a seeded, stratified part."""
    from sklearn.metrics import f1_score
    from sklearn.model_selection import train_test_split

    rows = np.arange(len(gold))
    counts = np.bincount(gold)
    if counts[counts > 0].min() < 2 or len(gold) < 5 * len(counts) or len(gold) * len(counts) > CHOOSE_CELLS:
        return 10.0, None
    if len(rows) > CHOOSE_ROWS:
        rows, _ = train_test_split(rows, train_size=CHOOSE_ROWS, random_state=seed, stratify=gold)
        if np.bincount(gold[rows])[np.unique(gold[rows])].min() < 2:
            return 10.0, None
    learn, judge = train_test_split(rows, test_size=0.2, random_state=seed, stratify=gold[rows])
    scored = []
    for strength in STRENGTHS:
        for weight in (None, "balanced"):
            answers = fitted(matrix[learn], gold[learn], strength, weight).predict(matrix[judge])
            scored.append((f1_score(gold[judge], answers, average="macro", zero_division=0), strength, weight))
    _, strength, weight = max(scored, key=lambda one: one[0])
    return strength, weight


def fitted(matrix: Any, gold: NDArray[np.int64], strength: float, weight: str | None) -> Any:
    """One fit; that it may stop before it has converged is part of being cheap."""
    from sklearn.linear_model import LogisticRegression

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return LogisticRegression(C=strength, class_weight=weight, max_iter=200, tol=1e-3).fit(matrix, gold)


class Constant:
    """The only class there is, for rows of one class."""

    def __init__(self, index: int) -> None:
        self.classes_ = np.asarray([index])
        self.coef_ = self.intercept_ = np.zeros(0)

    def predict_proba(self, matrix: Any) -> NDArray[np.float64]:
        """All ones."""
        return np.ones((matrix.shape[0], 1))
