"""Scores of answers that are parts of a passage, as the official SQuAD evaluation defines them.

Rajpurkar et al. 2016 (section 6.1) and 2018 (section 5). M questions, R weightings.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
ARTICLES = re.compile(r"\b(a|an|the)\b")
SIGNS = str.maketrans("", "", string.punctuation)


def normalised(answer: str) -> str:
    """Small letters, without ASCII punctuation, articles and extra space."""
    return " ".join(ARTICLES.sub(" ", answer.lower().translate(SIGNS)).split())


def exact_match(predicted: str, golds: Sequence[str]) -> float:
    """1 when the answer equals one of the gold answers in normal form."""
    return max(float(normalised(predicted) == normalised(gold)) for gold in golds)


def overlap_f1(predicted: str, golds: Sequence[str], *, empty_matches: bool) -> float:
    """The best F1 of the words shared with a gold answer.

    `empty_matches`: two answers without any word agree (SQuAD 2.0); they do not in 1.1.
    """
    return max(one_f1(normalised(predicted).split(), normalised(gold).split(), empty_matches) for gold in golds)


def one_f1(predicted: Sequence[str], gold: Sequence[str], empty_matches: bool) -> float:
    """2·precision·recall/(precision+recall) of words, counted with repetition."""
    if empty_matches and not (predicted and gold):
        return float(predicted == gold)
    same = sum((Counter(predicted) & Counter(gold)).values())
    if not same:
        return 0.0
    precision, recall = same / len(predicted), same / len(gold)
    return 2 * precision * recall / (precision + recall)


def scores(measures: Any, weights: Floats) -> dict[str, NDArray[Any]]:
    """f1, exact_match, the same over questions with and without an answer, and at the best threshold: (R,) each.

    measures: f1, exact (M,), answerable (M,) bool, answered (M,) bool, no_answer (M,) the odds that nothing answers.
    """
    has = measures["answerable"].astype(bool)
    f1, exact = measures["f1"].astype(np.float64), measures["exact"].astype(np.float64)
    best, threshold = best_threshold(f1, has, measures["answered"].astype(bool), measures["no_answer"], weights)
    return {
        "f1": mean(f1, weights),
        "exact_match": mean(exact, weights),
        "has_answer_f1": mean(f1[has], weights[:, has]),
        "has_answer_exact_match": mean(exact[has], weights[:, has]),
        "no_answer_f1": mean(f1[~has], weights[:, ~has]),
        "best_f1": best,
        "best_threshold": threshold,
    }


def mean(values: Floats, weights: Floats) -> NDArray[Any]:
    """Weighted means, (R,); NaN without rows."""
    total = weights.sum(axis=1)
    found: NDArray[Any] = np.divide(np.einsum("rm,m->r", weights, values), total, out=np.full(len(total), np.nan), where=total > 0)
    return found


def best_threshold(f1: Floats, has: NDArray[np.bool_], answered: NDArray[np.bool_], no_answer: Floats,
                   weights: Floats) -> tuple[NDArray[Any], NDArray[Any]]:
    """The highest mean F1 that some threshold of the no-answer odds gives, and that threshold, as the official script
    searches: answers are let in one by one, likeliest first."""
    order = np.argsort(no_answer, kind="stable")
    gains = np.where(has, f1, np.where(answered, -1.0, 0.0))[order]
    total = weights.sum(axis=1)
    begin = weights[:, ~has].sum(axis=1)
    reached = begin[:, None] + np.cumsum(weights[:, order] * gains, axis=1)
    places = reached.argmax(axis=1)
    top = reached[np.arange(len(weights)), places]
    better = top > begin
    values = np.where(better, top, begin) / np.where(total > 0, total, np.nan)
    return values, np.where(better, no_answer[order][places], 0.0)


DEFINITIONS = {
    "f1": "mean over questions of the best F1 of words shared with a gold answer (SQuAD 2.0; 1.1 where all have answers)",
    "exact_match": "share of answers equal to a gold answer in normal form (small letters, no punctuation, no articles)",
    "has_answer_f1": "f1 over the questions that have an answer",
    "has_answer_exact_match": "exact_match over the questions that have an answer",
    "no_answer_f1": "f1 over the questions that have none: 1 where nothing was answered",
    "best_f1": "f1 at the threshold of the no-answer odds that is best on these very rows",
    "best_threshold": "that threshold",
}
REASONS = {"has_answer_f1": "no question has an answer", "has_answer_exact_match": "no question has an answer",
           "no_answer_f1": "every question has an answer"}
