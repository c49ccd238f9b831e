"""How far the folds of a run lie apart, and what cannot be made from their models, which are gone."""

from __future__ import annotations

import statistics
from typing import Any

from headstart.contract import Json
from headstart.evaluation.evaluate import SplitEvaluation, evaluate
from headstart.runs.prepare import Prepared


def fold_scores(prepared: Prepared, evaluated: SplitEvaluation) -> dict[str, Json]:
    """scores.json's "folds": how many, and for each its rows, steps, seconds and scores; the spread of each score; how
    many classes there are, and how many of these have one row, so that no fold's model could know them.

    The spread is the lowest, the highest, and the standard deviation over the folds where the score is defined.
    """
    out_of_fold = prepared.out_of_fold
    assert out_of_fold is not None, "no fold is trained"
    parts: list[dict[str, Any]] = []
    for fold in out_of_fold.folds:
        fold_evaluation = evaluate(prepared.task, [evaluated.examples[place] for place in fold.places],
                                   [evaluated.predictions[place] for place in fold.places], resamples=0, seed=0)
        parts.append({"rows": len(fold.places), "steps": fold.steps, "seconds": fold.seconds,
                      "scores": {name: score.value for name, score in fold_evaluation.scores.items()}})
    spread = {}
    for name in parts[0]["scores"]:
        values = [value for part in parts if (value := part["scores"].get(name)) is not None]
        if len(values) > 1:
            spread[name] = {"low": min(values), "high": max(values), "deviation": statistics.stdev(values)}
    sizes = [] if prepared.dataset.folds is None else list(prepared.dataset.folds.class_sizes.values())
    return {"count": len(parts), "parts": parts, "spread": spread, "classes": len(sizes),
            "single_row_classes": sizes.count(1)}
