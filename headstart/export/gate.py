"""The gate: an exported model answers the rows that the original was measured on, and must score as well.

M rows.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from headstart.contract import Example, Feature, Json, Prediction
from headstart.evaluation.evaluate import SplitEvaluation, differences, evaluate
from headstart.prediction.latency import measure_in_turns, seconds
from headstart.prediction.predictions_file import report_progress
from headstart.prediction.predictor import TaskPredictor
from headstart.progress import Reporter

COMPARED_ROWS = 512  # whose outputs are compared number by number
TIMED_ROWS = 64
BATCH_ROWS = 32


@dataclass(frozen=True)
class Speed:
    """Rows alone and 32 at a time: median milliseconds of one, rows a second; of the model alone."""

    milliseconds: float
    rows_per_second: float
    rows_per_second_of_32: float


@dataclass(frozen=True)
class GateResult:
    """An exported model beside the original on the same rows."""

    score: str  # the task's first score, which decides
    original: SplitEvaluation
    exported: SplitEvaluation
    difference: Mapping[str, Json]  # of each score: exported minus original, with the paired interval
    same_answers: float  # share of rows
    largest_difference: float  # of an output, among the first rows
    original_speed: Speed
    exported_speed: Speed
    original_bytes: int
    exported_bytes: int
    max_drop: float  # in points
    rows_from: str

    @property
    def drop(self) -> float:
        """How much worse the exported model scores: in points, hundredths of a score whose best value is 1; of one that
        is better the lower it is, per cent.
        """
        original, exported = self.original.scores[self.score], self.exported.scores[self.score]
        if original.value is None or exported.value is None:
            return math.inf
        if original.higher_is_better:
            return 100 * (original.value - exported.value)
        return 100 * (exported.value - original.value) / max(abs(original.value), 1e-12)

    @property
    def passed(self) -> bool:
        """Whether it may go out."""
        return self.drop <= self.max_drop


def compare(original: TaskPredictor, exported: TaskPredictor, examples: Sequence[Example], *, rows_from: str,
            sizes: tuple[int, int], max_drop: float, resamples: int, seed: int, reporter: Reporter) -> GateResult:
    """Scores, answers, outputs, speed and size of both on labelled rows; `sizes` are the bytes of their weights."""
    task = original.task
    examples = original.compose(examples, seed=seed)
    evaluations, predictions = [], []
    for predictor, name in ((original, "the original"), (exported, "the export")):
        reporter.info(f"{name} predicts {rows_from} ({len(examples):,} rows)")
        answers = list(report_progress(predictor.predict(examples, seed=seed), len(examples), reporter))
        predictions.append(answers)
        evaluations.append(evaluate(task, examples, answers, resamples=resamples, seed=seed,
                                    precision=predictor.precision))
    features = [feature for example_features in original.encode(examples[:COMPARED_ROWS])
                for feature in example_features]
    original_speed, exported_speed = speeds((original, exported), features)
    return GateResult(
        task.selection_score[0], evaluations[0], evaluations[1],
        differences(task, evaluations[1], evaluations[0], resamples=resamples, seed=seed),
        same_answers(predictions[0], predictions[1]), largest_difference(original, exported, features), original_speed,
        exported_speed, sizes[0], sizes[1], max_drop, rows_from)


def same_answers(first: Sequence[Prediction], second: Sequence[Prediction]) -> float:
    """The share of rows with the same answer; numbers are the same where they agree to three digits."""
    return float(np.mean([answer_of(prediction) == answer_of(counterpart)
                          for prediction, counterpart in zip(first, second, strict=True)]))


def answer_of(prediction: Prediction) -> Any:
    """What a user reads of a prediction: labels, spans, text; a number to three digits."""
    values = prediction.values
    answer = values.get("prediction", values.get("spans"))
    if isinstance(answer, float):
        return f"{answer:.3g}"
    if isinstance(answer, list):
        return [tuple(sorted((name, value) for name, value in part.items() if name != "probability"))
                if isinstance(part, dict) else part for part in answer]
    return answer


def largest_difference(original: TaskPredictor, exported: TaskPredictor, features: Sequence[Feature]) -> float:
    """The largest difference of any output of these features."""
    outputs = [dict(predictor.runtime.outputs(features)) for predictor in (original, exported)]
    return max((float(np.abs(np.asarray(values, dtype=np.float64) - outputs[1][index][name]).max(initial=0.0))
                for index, feature_outputs in outputs[0].items() for name, values in feature_outputs.items()),
               default=0.0)


def speeds(predictors: Sequence[TaskPredictor], features: Sequence[Feature]) -> list[Speed]:
    """Median times of each, in turns, so that other load on the machine meets all of them."""
    singles = [[feature] for feature in features[:TIMED_ROWS]]
    batch = list(features[:BATCH_ROWS])

    def times(predictor: TaskPredictor) -> tuple[list[float], float]:
        outputs = predictor.runtime.outputs
        return [seconds(partial(outputs, single)) for single in singles], seconds(partial(outputs, batch))

    return [speed_of([time for single_times, _ in rounds for time in single_times],
                     [batch_time for _, batch_time in rounds], len(batch))
            for rounds in measure_in_turns(predictors, times)]


def speed_of(single_times: Sequence[float], batch_times: Sequence[float], batch_rows: int) -> Speed:
    """The speed by times in seconds: of rows alone, and of batches of so many rows."""
    return Speed(1000 * statistics.median(single_times), 1 / statistics.fmean(single_times),
                 batch_rows / statistics.median(batch_times))
