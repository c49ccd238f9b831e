"""A model that answers texts early beside itself at full depth: layers, time, and scores on the same rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headstart.contract import Json, Predictor
from headstart.evaluation.evaluate import SplitEvaluation, differences, evaluate
from headstart.metrics import intervals
from headstart.prediction.latency import median_milliseconds
from headstart.prediction.predictor import TaskPredictor
from headstart.prediction.torch_runtime import TorchRuntime, full_depth
from headstart.progress import Reporter

if TYPE_CHECKING:
    from headstart.contract import Floats


def compare_depths(predictor: Predictor, evaluated: SplitEvaluation, *, split: str, resamples: int, seed: int,
                   reporter: Reporter) -> dict[str, Json]:
    """{"early_exit": {…}}: patience, mean layers used, milliseconds and scores of both, early minus full depth; {} for
    a predictor that reads every text by all layers.
    """
    full_predictor = full_depth(predictor)
    if full_predictor is None:
        return {}
    assert isinstance(predictor, TaskPredictor) and isinstance(predictor.runtime, TorchRuntime)
    task, examples, model = predictor.task, evaluated.examples, predictor.runtime.model
    reporter.info(f"the model predicts {split} at full depth ({len(examples):,} rows)")
    full = evaluate(task, examples, full_predictor.predict(examples, seed=seed), resamples=resamples, seed=seed,
                    precision=full_predictor.precision)
    milliseconds = median_milliseconds([full_predictor, predictor], examples, seed=seed)
    rule = model.early_exit
    assert rule is not None
    return {"early_exit": {
        "split": split, "score": next(iter(evaluated.scores)), "patience": rule.patience, "threshold": rule.threshold,
        "layers": model.info.layers, "layers_used": layers_used(evaluated, resamples=resamples, seed=seed),
        "milliseconds": {"full depth": round(milliseconds[0], 4), "early exit": round(milliseconds[1], 4)},
        "speed": round(milliseconds[0] / max(1e-9, milliseconds[1]), 3),
        "scores": {"full depth": {name: score.json() for name, score in full.scores.items()},
                   "early exit": {name: score.json() for name, score in evaluated.scores.items()}},
        "difference": differences(task, evaluated, full, resamples=resamples, seed=seed)}}


def layers_used(evaluated: SplitEvaluation, *, resamples: int, seed: int) -> dict[str, Json]:
    """The mean number of layers that read a text, with its interval."""
    import numpy as np

    layers = np.asarray([prediction.values["layers_used"] for prediction in evaluated.predictions], dtype=np.float64)

    def mean(weights: Floats) -> dict[str, Any]:
        return {"mean": weights @ layers / weights.sum(axis=1)}

    interval = intervals.bootstrap(mean, len(layers), resamples, seed, evaluated.groups)["mean"]
    return {"value": interval.value, "low": interval.low, "high": interval.high}
