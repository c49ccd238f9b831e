"""What a run learns of its model's confidence on dev, and what it measures of it: temperature, threshold, tables."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from headstart.contract import Json, Prediction, Task
from headstart.evaluation import confidence
from headstart.evaluation.evaluate import SplitEvaluation
from headstart.metrics.calibration import TemperatureFit
from headstart.progress import Reporter
from headstart.reports.confidence_words import chosen_words
from headstart.runs.parts import Parts
from headstart.runs.prepare import Prepared


def tune_confidence(prepared: Prepared, task: Task[Any],
                    predictions: list[Prediction]) -> tuple[Task[Any], TemperatureFit | None]:
    """The task with the temperature that dev gives it, where it helps, and how that was found."""
    if not prepared.settings.evaluation.calibrate:
        return task, None
    fit = confidence.fit_task_temperature(task, prepared.measured_examples("dev"), predictions, prepared.settings.seed)
    return confidence.with_temperature(task, fit), fit


def choose_threshold(prepared: Prepared, predictions: list[Prediction], reporter: Reporter) -> Task[Any]:
    """The task with the confidence from which on it answers, where a risk is to be promised; it is told."""
    task, risk = prepared.task, prepared.settings.evaluation.risk
    if risk is None:
        return task
    task = confidence.with_abstention(task, prepared.measured_examples("dev"), predictions, risk)
    abstention = task.abstention
    assert abstention is not None, "a risk gives a threshold, or none that promises it"
    (reporter.info if abstention.threshold is not None else reporter.warning)(chosen_words(abstention))
    return task


def confidence_tables(prepared: Prepared, fit: TemperatureFit | None, splits: Mapping[str, SplitEvaluation],
                      parts: Parts) -> dict[str, dict[str, Json]]:
    """The tables of each split for scores.json: calibration, and risk by coverage where the model may abstain."""
    task, settings = prepared.task, prepared.settings
    tables: dict[str, dict[str, Json]] = {}
    for split, evaluated in splits.items():
        split_tables: dict[str, Json] = {}
        if fit is not None:
            split_tables["calibration"] = parts.attempt(f"the calibration of {split}", partial(
                confidence.calibration_table, task, evaluated, fit, resamples=settings.evaluation.resamples,
                seed=settings.seed))
        if task.abstention is not None:
            split_tables["risk_coverage"] = parts.attempt(f"the risk by coverage of {split}", partial(
                confidence.risk_coverage_table, task, evaluated))
        tables[split] = {name: table for name, table in split_tables.items() if table is not None}
    return tables
