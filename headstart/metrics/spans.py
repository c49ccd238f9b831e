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
Place = tuple[int, int, str]  # begin, end, type

DEFINITIONS = {
    "f1": "2·precision·recall/(precision+recall) over all entities (micro), borders and type right",
    "precision": "share of predicted entities that are right in borders and type",
    "recall": "share of gold entities that are found, borders and type right",
    "relaxed_f1": "f1 where one shared word and the same type are enough, each entity matched once",
}


def counts(gold: Sequence[Place], predicted: Sequence[Place], types: Sequence[str]) -> dict[str, Any]:
    """hits, gold and predicted of each type (last: types that training never showed), relaxed matches, errors by kind."""
    number = {name: place for place, name in enumerate(types)}
    made: dict[str, Any] = {name: [0] * (len(types) + 1) for name in ("hits", "gold", "predicted")}
    for one in gold:
        made["gold"][number.get(one[2], len(types))] += 1
    for one in predicted:
        made["predicted"][number.get(one[2], len(types))] += 1
    for one in set(gold) & set(predicted):
        made["hits"][number.get(one[2], len(types))] += 1
    return made | {"relaxed": relaxed(gold, predicted), **errors(gold, predicted)}


def relaxed(gold: Sequence[Place], predicted: Sequence[Place]) -> int:
    """Pairs of one type that share a word, each entity in one pair at most, from left to right."""
    free = sorted(gold)
    found = 0
    for one in sorted(predicted):
        match = next((held for held in free if held[2] == one[2] and held[0] < one[1] and one[0] < held[1]), None)
        if match is not None:
            free.remove(match)
            found += 1
    return found


def errors(gold: Sequence[Place], predicted: Sequence[Place]) -> dict[str, int]:
    """Wrong type (same borders), wrong border (shared words, same type), missed and spurious: all that are not right."""
    right = set(gold) & set(predicted)
    left, extra = sorted(set(gold) - right), sorted(set(predicted) - right)
    made = Counter({"wrong_type": 0, "wrong_border": 0})
    for kind in ("wrong_type", "wrong_border"):
        for one in list(extra):
            match = next((held for held in left if (held[:2] == one[:2] if kind == "wrong_type" else
                                                    held[2] == one[2] and held[0] < one[1] and one[0] < held[1])), None)
            if match is not None:
                left.remove(match)
                extra.remove(one)
                made[kind] += 1
    return {**made, "missed": len(left), "spurious": len(extra)}


def scores(measures: Any, weights: Floats) -> dict[str, NDArray[Any]]:
    """f1, precision, recall, relaxed_f1 (R,); NaN where there is nothing to find and nothing was found."""
    hits, gold, predicted = (np.einsum("rm,m->r", weights, measures[name].sum(axis=1).astype(np.float64))
                             for name in ("hits", "gold", "predicted"))
    loose = np.einsum("rm,m->r", weights, measures["relaxed"].astype(np.float64))
    return {"f1": share(2 * hits, gold + predicted), "precision": share(hits, predicted), "recall": share(hits, gold),
            "relaxed_f1": share(2 * loose, gold + predicted)}


def share(top: NDArray[Any], bottom: NDArray[Any]) -> NDArray[Any]:
    """top / bottom, NaN where bottom is 0."""
    found: NDArray[Any] = np.divide(top, bottom, out=np.full(len(top), np.nan), where=bottom > 0)
    return found


def per_type(measures: Any, types: Sequence[str]) -> dict[str, dict[str, Any]]:
    """precision, recall, f1, support and predicted of each type; those that training never showed together at the end."""
    hits, gold, predicted = (measures[name].sum(axis=0) for name in ("hits", "gold", "predicted"))
    made = {}
    for place, name in enumerate([*types, "(unseen in training)"] if gold[-1] or predicted[-1] else types):
        h, g, p = int(hits[place]), int(gold[place]), int(predicted[place])
        made[name] = {"precision": h / p if p else 0.0, "recall": h / g if g else 0.0, "f1": 2 * h / (g + p) if g + p else 0.0,
                      "support": g, "predicted": p}
    return made
