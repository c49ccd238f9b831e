"""What a system's predictions are worth, row by row, so that two systems can be compared on the same resamples."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from default_sets import Row, Set

from headstart.metrics import classification, intervals, regression, spans, squad
from headstart.text.tags import entities

RESAMPLES = 1000


def span_counts(gold: list[list[str]], predicted: list[list[str]]) -> list[dict[str, Any]]:
    types = sorted({entity.type for tags in gold for entity in entities(tags)})
    return [spans.span_counts(*([(entity.begin, entity.end, entity.type) for entity in entities(tags)]
                                for tags in pair), types) for pair in zip(gold, predicted, strict=True)]


def entity_f1(gold: list[list[str]], predicted: list[list[str]]) -> float:
    counts = span_counts(gold, predicted)
    stacked = {name: np.asarray([row[name] for row in counts]) for name in counts[0]}
    return float(np.nan_to_num(spans.scores(stacked, np.ones((1, len(gold))))["f1"][0]))


def measures(part: Set, rows: list[Row], predictions: list[Any]) -> dict[str, list[Any]]:
    """Numbers of each test row that its score is a function of."""
    if part.task == "text-classification":
        labels = sorted({row["label"] for row in rows} | set(predictions))
        return {"gold": [labels.index(row["label"]) for row in rows],
                "predicted": [labels.index(label) for label in predictions]}
    if part.task == "regression":
        return {"gold": [row["target"] for row in rows], "predicted": [round(value, 4) for value in predictions]}
    if part.task == "token-tagging":
        counts = span_counts([row["tags"] for row in rows], predictions)
        return {name: [np.asarray(row[name]).tolist() for row in counts] for name in counts[0]}
    golds = [[answer["text"] for answer in row["answers"]] or [""] for row in rows]
    return {"f1": [round(squad.max_token_f1(answer or "", gold, empty_matches=True), 6)
                   for answer, gold in zip(predictions, golds, strict=True)]}


def scorer(part: Set, row_measures: Mapping[str, list[Any]]) -> intervals.Scorer:
    """The set's score under weights of its rows."""
    arrays = {name: np.asarray(values) for name, values in row_measures.items()}

    def score(weights: Any) -> dict[str, Any]:
        if part.task == "text-classification":
            classes = int(max(arrays["gold"].max(), arrays["predicted"].max())) + 1
            probabilities = np.full((len(arrays["gold"]), classes), 1 / classes)
            values = classification.scores(arrays["gold"], arrays["predicted"], probabilities, weights)[part.score]
        elif part.task == "regression":
            values = regression.scores(arrays["gold"], arrays["predicted"], weights)[part.score]
        elif part.task == "token-tagging":
            values = spans.scores(arrays, weights)[part.score]
        else:
            values = weights @ arrays["f1"] / weights.sum(1)
        return {part.score: np.nan_to_num(values)}

    return score


def value(part: Set, row_measures: Mapping[str, list[Any]]) -> float:
    """The score of all rows."""
    rows = len(next(iter(row_measures.values())))
    return float(scorer(part, row_measures)(np.ones((1, rows)))[part.score][0])


def difference(part: Set, first: Mapping[str, list[Any]], second: Mapping[str, list[Any]]) -> intervals.Interval:
    """first minus second with its paired 95 % interval."""
    rows = len(next(iter(first.values())))
    return intervals.paired_bootstrap(scorer(part, first), scorer(part, second), rows, RESAMPLES, 0)[part.score]
