"""Scores of entities: type and borders right (strict), or type right and words shared (relaxed).

Strict counts are those of the CoNLL-2003 evaluation (Tjong Kim Sang and De Meulder 2003) and of seqeval.
M sentences, T types, R weightings.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Span = tuple[int, int, str]  # begin, end, type

DEFINITIONS = {
    "f1": "2·precision·recall/(precision+recall) over all entities (micro), borders and type right",
    "precision": "share of predicted entities that are right in borders and type",
    "recall": "share of gold entities that are found, borders and type right",
    "relaxed_f1": "f1 where one shared word and the same type are enough, each entity matched once",
}


def span_counts(gold: Sequence[Span], predicted: Sequence[Span], types: Sequence[str]) -> dict[str, Any]:
    """hits, gold and predicted of each type (last: types unseen in training), relaxed matches, errors by kind."""
    type_index = {name: index for index, name in enumerate(types)}
    counts: dict[str, Any] = {name: [0] * (len(types) + 1) for name in ("hits", "gold", "predicted")}
    for span in gold:
        counts["gold"][type_index.get(span[2], len(types))] += 1
    for span in predicted:
        counts["predicted"][type_index.get(span[2], len(types))] += 1
    for span in set(gold) & set(predicted):
        counts["hits"][type_index.get(span[2], len(types))] += 1
    return counts | {"relaxed": relaxed_matches(gold, predicted), **error_counts(gold, predicted)}


def relaxed_matches(gold: Sequence[Span], predicted: Sequence[Span]) -> int:
    """Pairs of one type that share a word, each entity in one pair at most, from left to right."""
    unmatched = sorted(gold)
    matches = 0
    for span in sorted(predicted):
        match = next((candidate for candidate in unmatched if overlaps_with_type(candidate, span)), None)
        if match is not None:
            unmatched.remove(match)
            matches += 1
    return matches


def overlaps_with_type(first: Span, second: Span) -> bool:
    """Whether two entities have one type and overlap."""
    return first[2] == second[2] and first[0] < second[1] and second[0] < first[1]


def error_counts(gold: Sequence[Span], predicted: Sequence[Span]) -> dict[str, int]:
    """Wrong type (same borders), wrong border (shared words, same type), missed and spurious: all that are not right.
    """
    exact = set(gold) & set(predicted)
    missed, spurious = sorted(set(gold) - exact), sorted(set(predicted) - exact)
    counts = Counter({"wrong_type": 0, "wrong_border": 0})
    for kind in ("wrong_type", "wrong_border"):
        for span in list(spurious):
            match = next((candidate for candidate in missed
                          if (candidate[:2] == span[:2] if kind == "wrong_type"
                              else overlaps_with_type(candidate, span))), None)
            if match is not None:
                missed.remove(match)
                spurious.remove(span)
                counts[kind] += 1
    return {**counts, "missed": len(missed), "spurious": len(spurious)}


def scores(measures: Any, weights: Floats) -> dict[str, NDArray[Any]]:
    """f1, precision, recall, relaxed_f1 (R,); NaN where there is nothing to find and nothing was found."""
    hits, gold, predicted = (np.einsum("rm,m->r", weights, measures[name].sum(axis=1).astype(np.float64))
                             for name in ("hits", "gold", "predicted"))
    relaxed = np.einsum("rm,m->r", weights, measures["relaxed"].astype(np.float64))
    return {"f1": divide_or_nan(2 * hits, gold + predicted), "precision": divide_or_nan(hits, predicted),
            "recall": divide_or_nan(hits, gold), "relaxed_f1": divide_or_nan(2 * relaxed, gold + predicted)}


def divide_or_nan(numerator: NDArray[Any], denominator: NDArray[Any]) -> NDArray[Any]:
    """numerator / denominator, NaN where the denominator is 0."""
    quotient: NDArray[Any] = np.divide(numerator, denominator, out=np.full(len(numerator), np.nan),
                                       where=denominator > 0)
    return quotient


def per_type(measures: Any, types: Sequence[str]) -> dict[str, dict[str, Any]]:
    """precision, recall, f1, support and predicted of each type; those unseen in training together at the end."""
    hits, gold, predicted = (measures[name].sum(axis=0) for name in ("hits", "gold", "predicted"))
    rows = {}
    for index, name in enumerate([*types, "(unseen in training)"] if gold[-1] or predicted[-1] else types):
        hit_count, gold_count, predicted_count = int(hits[index]), int(gold[index]), int(predicted[index])
        rows[name] = {"precision": hit_count / predicted_count if predicted_count else 0.0,
                      "recall": hit_count / gold_count if gold_count else 0.0,
                      "f1": 2 * hit_count / (gold_count + predicted_count) if gold_count + predicted_count else 0.0,
                      "support": gold_count, "predicted": predicted_count}
    return rows
