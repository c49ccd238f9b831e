"""Logistic regression that selects its regularization and class weights on a part of the training rows."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

C_VALUES = (1.0, 10.0)  # inverse regularization strengths
SELECTION_ROWS = 4_000  # hyperparameters are selected on at most this many rows
SELECTION_CELLS = 120_000  # rows · classes beyond which only the default is fitted


@dataclass(frozen=True)
class LogisticClassifier:
    """A fitted logistic regression over all classes; ones absent from training have probability 0."""

    model: Any
    classes: int
    hyperparameters: str

    @property
    def size(self) -> int:
        """How many numbers it holds."""
        return int(self.model.coef_.size + self.model.intercept_.size)

    def probabilities(self, matrix: Any) -> NDArray[np.float64]:
        """(M, C)."""
        probabilities = np.zeros((matrix.shape[0], self.classes))
        probabilities[:, self.model.classes_] = self.model.predict_proba(matrix)
        return probabilities


def fit_logistic(matrix: Any, gold: NDArray[np.int64], classes: int, seed: int) -> LogisticClassifier:
    """Choose C from 1 and 10 and class weights from none and balanced by macro F1 on a fifth, then fit on all rows."""
    if len(np.unique(gold)) < 2:
        return LogisticClassifier(ConstantClassifier(int(gold[0])), classes, "one class")
    strength, class_weight = select_hyperparameters(matrix, gold, seed)
    model = fit_sklearn(matrix, gold, strength, class_weight)
    return LogisticClassifier(model, classes, f"C={strength:g}, class weight {class_weight or 'none'}")


def select_hyperparameters(matrix: Any, gold: NDArray[np.int64], seed: int) -> tuple[float, str | None]:
    """The pair (C, class weight) with the best macro F1 on a seeded, stratified fifth."""
    from sklearn.metrics import f1_score
    from sklearn.model_selection import train_test_split

    rows = np.arange(len(gold))
    counts = np.bincount(gold)
    if counts[counts > 0].min() < 2 or len(gold) < 5 * len(counts) or len(gold) * len(counts) > SELECTION_CELLS:
        return 10.0, None
    if len(rows) > SELECTION_ROWS:
        rows, _ = train_test_split(rows, train_size=SELECTION_ROWS, random_state=seed, stratify=gold)
        if np.bincount(gold[rows])[np.unique(gold[rows])].min() < 2:
            return 10.0, None
    fit_rows, validation_rows = train_test_split(rows, test_size=0.2, random_state=seed, stratify=gold[rows])
    candidates = []
    for strength in C_VALUES:
        for class_weight in (None, "balanced"):
            predicted = fit_sklearn(matrix[fit_rows], gold[fit_rows], strength,
                                    class_weight).predict(matrix[validation_rows])
            candidates.append((f1_score(gold[validation_rows], predicted, average="macro", zero_division=0), strength,
                               class_weight))
    _, strength, class_weight = max(candidates, key=lambda candidate: candidate[0])
    return strength, class_weight


def fit_sklearn(matrix: Any, gold: NDArray[np.int64], strength: float, class_weight: str | None) -> Any:
    """One fit; that it may stop before it has converged is part of being cheap."""
    from sklearn.linear_model import LogisticRegression

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return LogisticRegression(C=strength, class_weight=class_weight, max_iter=200, tol=1e-3).fit(matrix, gold)


class ConstantClassifier:
    """The only class there is, for rows of one class."""

    def __init__(self, index: int) -> None:
        self.classes_ = np.asarray([index])
        self.coef_ = self.intercept_ = np.zeros(0)

    def predict_proba(self, matrix: Any) -> NDArray[np.float64]:
        """All ones."""
        return np.ones((matrix.shape[0], 1))
