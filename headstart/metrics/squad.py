"""Scores of answers that are spans of a passage, as the official SQuAD evaluation defines them.

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
PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalise_answer(answer: str) -> str:
    """Lower case, without ASCII punctuation, articles and extra space."""
    return " ".join(ARTICLES.sub(" ", answer.lower().translate(PUNCTUATION)).split())


def exact_match(predicted: str, golds: Sequence[str]) -> float:
    """1 when the answer equals one of the gold answers in normal form."""
    return max(float(normalise_answer(predicted) == normalise_answer(gold)) for gold in golds)


def max_token_f1(predicted: str, golds: Sequence[str], *, empty_matches: bool) -> float:
    """The best F1 of the words shared with a gold answer.

    `empty_matches`: two answers without any word agree (SQuAD 2.0); they do not in 1.1.
    """
    return max(token_f1(normalise_answer(predicted).split(), normalise_answer(gold).split(), empty_matches)
               for gold in golds)


def token_f1(predicted: Sequence[str], gold: Sequence[str], empty_matches: bool) -> float:
    """2·precision·recall/(precision+recall) of words, counted with repetition."""
    if empty_matches and not (predicted and gold):
        return float(predicted == gold)
    shared = sum((Counter(predicted) & Counter(gold)).values())
    if not shared:
        return 0.0
    precision, recall = shared / len(predicted), shared / len(gold)
    return 2 * precision * recall / (precision + recall)


def scores(measures: Any, weights: Floats) -> dict[str, NDArray[Any]]:
    """f1, exact_match, the same over questions with and without an answer, and at the best threshold: (R,) each.

    measures: f1, exact (M,), answerable (M,) bool, answered (M,) bool, no_answer (M,) the odds that nothing answers.
    """
    answerable = measures["answerable"].astype(bool)
    f1, exact = measures["f1"].astype(np.float64), measures["exact"].astype(np.float64)
    best_f1, threshold = best_threshold(f1, answerable, measures["answered"].astype(bool), measures["no_answer"],
                                        weights)
    return {
        "f1": weighted_mean(f1, weights),
        "exact_match": weighted_mean(exact, weights),
        "has_answer_f1": weighted_mean(f1[answerable], weights[:, answerable]),
        "has_answer_exact_match": weighted_mean(exact[answerable], weights[:, answerable]),
        "no_answer_f1": weighted_mean(f1[~answerable], weights[:, ~answerable]),
        "best_f1": best_f1,
        "best_threshold": threshold,
    }


def weighted_mean(values: Floats, weights: Floats) -> NDArray[Any]:
    """Weighted means, (R,); NaN without rows."""
    total = weights.sum(axis=1)
    means: NDArray[Any] = np.divide(np.einsum("rm,m->r", weights, values), total, out=np.full(len(total), np.nan),
                                    where=total > 0)
    return means


def best_threshold(f1: Floats, answerable: NDArray[np.bool_], is_answered: NDArray[np.bool_], no_answer: Floats,
                   weights: Floats) -> tuple[NDArray[Any], NDArray[Any]]:
    """The highest mean F1 that some threshold of the no-answer odds gives, and that threshold, as the official script
    searches: answers are let in one by one, likeliest first."""
    order = np.argsort(no_answer, kind="stable")
    gains = np.where(answerable, f1, np.where(is_answered, -1.0, 0.0))[order]
    total = weights.sum(axis=1)
    baseline = weights[:, ~answerable].sum(axis=1)
    totals = baseline[:, None] + np.cumsum(weights[:, order] * gains, axis=1)
    best_indices = totals.argmax(axis=1)
    best_totals = totals[np.arange(len(weights)), best_indices]
    improves = best_totals > baseline
    values = np.where(improves, best_totals, baseline) / np.where(total > 0, total, np.nan)
    return values, np.where(improves, no_answer[order][best_indices], 0.0)


DEFINITIONS = {
    "f1": "mean over questions of the best F1 of words shared with a gold answer (SQuAD 2.0; 1.1 where all have "
          "answers)",
    "exact_match": "share of answers equal to a gold answer in normal form (small letters, no "
                   "punctuation, no articles)",
    "has_answer_f1": "f1 over the questions that have an answer",
    "has_answer_exact_match": "exact_match over the questions that have an answer",
    "no_answer_f1": "f1 over the questions that have none: 1 where nothing was answered",
    "best_f1": "f1 at the threshold of the no-answer odds that is best on these same rows",
    "best_threshold": "that threshold",
}
REASONS = {"has_answer_f1": "no question has an answer", "has_answer_exact_match": "no question has an answer",
           "no_answer_f1": "every question has an answer"}
