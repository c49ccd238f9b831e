"""How far a model's confidence can be trusted, learned on dev: a temperature, and the confidence from which it answers.

M examples.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headstart.contract import Abstention, Example, Json, Prediction, Score, Task
from headstart.contract.abstention import ABSTENTION, TEMPERATURE, confidence
from headstart.evaluation.evaluate import SplitEvaluation, group_indices_of
from headstart.metrics import calibration, intervals, risk
from headstart.metrics.abstention import operating_point, risk_coverage_curve

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from headstart.contract import Floats, Ints

CALIBRATION_SCORES = ("log_loss", "calibration_error")
COVERAGES = 20  # points of the table of risk by coverage
THRESHOLDS = 100  # thresholds whose coverage and risk the report lets one read


@dataclass(frozen=True)
class Answers:
    """The confidence of each prediction and whether it is right, (M,) each, with the groups of the rows."""

    confidences: Floats
    right: NDArray[np.bool_]
    groups: Ints | None

    @property
    def wrong(self) -> NDArray[np.bool_]:
        """Whether each is wrong, (M,)."""
        return ~self.right


def answers_of(task: Task[Any], examples: Sequence[Example], predictions: Sequence[Prediction]) -> Answers:
    """What abstention looks at: how sure the model was, and whether it was right."""
    import numpy as np

    confidences = np.asarray([confidence(prediction) for prediction in predictions], dtype=np.float64)
    right = [task.is_right(example, prediction) for example, prediction in zip(examples, predictions, strict=True)]
    return Answers(confidences, np.asarray(right, dtype=bool), group_indices_of(task, examples))


def fit_task_temperature(task: Task[Any], examples: Sequence[Example], predictions: Sequence[Prediction],
                         seed: int) -> calibration.TemperatureFit | None:
    """The temperature of a task by its predictions for dev, of 10,000 rows at most; None for a task without one."""
    import numpy as np

    step = -(-len(predictions) // calibration.MAX_ROWS) or 1
    examples, predictions = examples[::step], predictions[::step]
    tempered = task.tempered(examples, predictions) if len(predictions) else None
    if tempered is None:
        return None
    groups = group_indices_of(task, examples)
    return calibration.fit_temperature(lambda temperature: tempered(temperature).losses,
                                       np.arange(len(predictions)) if groups is None else groups, seed)


def with_temperature(task: Task[Any], fit: calibration.TemperatureFit | None) -> Task[Any]:
    """The task with the temperature, where it helps; its predictions have been made at the task's own."""
    if fit is None or not fit.helps:
        return task
    return task.with_learned(task.learned.with_value(TEMPERATURE, task.temperature * fit.temperature))


def with_abstention(task: Task[Any], examples: Sequence[Example], predictions: Sequence[Prediction],
                    promised_risk: float) -> Task[Any]:
    """The task with the confidence from which on it answers, chosen by its predictions for dev."""
    answers = answers_of(task, examples, predictions)
    promised = risk.promised_threshold(answers.confidences, answers.wrong, promised_risk)
    rows = len(predictions)
    abstention = Abstention(promised_risk, risk.CERTAINTY, None, rows) if promised is None else Abstention(
        promised_risk, risk.CERTAINTY, promised.threshold, rows, promised.answers / rows,
        promised.errors / promised.answers, promised.risk_bound)
    return task.with_learned(task.learned.with_value(ABSTENTION, abstention.json()))


def selective_scores(task: Task[Any], evaluated: SplitEvaluation, *, resamples: int, seed: int) -> dict[str, Score]:
    """`coverage`, the share of rows that are answered, and `selective_risk`, the share of wrong ones among these, with
    intervals; {} for a task that answers always. All other scores are of all rows.
    """
    import numpy as np

    abstention = task.abstention
    if abstention is None or not len(evaluated.predictions):
        return {}
    answers = answers_of(task, evaluated.examples, evaluated.predictions)
    answer_mask, rows, threshold = abstention.answer_mask(answers.confidences), len(answers.right), abstention.threshold
    rule = "no confidence suffices" if threshold is None else f"confidence ≥ {threshold:.6g}"
    count, errors = int(answer_mask.sum()), int(answers.wrong[answer_mask].sum())

    def shares(weights: Floats) -> dict[str, Any]:
        answer_weights = weights @ answer_mask.astype(float)
        wrong_weights = weights @ (answer_mask & answers.wrong).astype(float)
        with np.errstate(invalid="ignore"):  # a resample may have no answer
            return {"coverage": answer_weights / weights.sum(axis=1), "selective_risk": wrong_weights / answer_weights}

    share_intervals = intervals.bootstrap(shares, rows, resamples, seed, answers.groups)
    covered = share_intervals["coverage"]
    coverage = Score(covered.value, covered.low, covered.high, rows, intervals.signature(
        "coverage", f"share of rows that are answered: {rule}", rows, resamples, seed, answers.groups,
        evaluated.precision), True)
    definition = f"selective_risk | share of wrong answers among those given: {rule} | rows {count}"
    if not count:
        return {"coverage": coverage, "selective_risk": Score(
            None, None, None, 0, definition, False, "no row is answered")}
    low, high = risk.exact_interval(errors, count)
    of_groups = share_intervals["selective_risk"]
    if answers.groups is not None and of_groups.low is not None and of_groups.high is not None:
        low, high = min(low, of_groups.low), max(high, of_groups.high)  # rows of a group err together
    method = "exact 95% (Clopper-Pearson)" + ("" if answers.groups is None else ", or of groups where that is wider")
    return {"coverage": coverage, "selective_risk": Score(errors / count, low, high, count, f"{definition} | {method}",
                                                          False)}


def with_selective_scores(task: Task[Any], evaluated: SplitEvaluation, *, resamples: int,
                          seed: int) -> SplitEvaluation:
    """The evaluation with `coverage` and `selective_risk` beside its scores, where the model may abstain."""
    further = selective_scores(task, evaluated, resamples=resamples, seed=seed)
    return dataclasses.replace(evaluated, scores={**evaluated.scores, **further})


def calibration_table(task: Task[Any], evaluated: SplitEvaluation, fit: calibration.TemperatureFit, *, resamples: int,
                      seed: int) -> dict[str, Json]:
    """Temperature, why it is not used where it is not, and mean loss and calibration error before and after it, with
    intervals, and their difference on the same resamples.
    """
    tempered = task.tempered(evaluated.examples, evaluated.predictions)
    assert tempered is not None, "a task with a temperature can be tempered"
    answers = answers_of(task, evaluated.examples, evaluated.predictions)
    rows = len(answers.right)

    def scorer(factor: float) -> intervals.Scorer:
        changed = tempered(factor)
        return lambda weights: calibration.calibration_scores(changed.losses, changed.confidences, answers.right,
                                                              weights)

    before, after = scorer(1 / task.temperature), scorer(1.0)  # predictions are those after it
    table: dict[str, Json] = {"temperature": task.temperature, "rows_learned_from": fit.rows,
                              "used": fit.helps, **({} if fit.helps else {"reason": fit.reason})}
    stages = {"before": before, **({"after": after} if fit.helps else {})}
    score_intervals = {name: intervals.bootstrap(stage, rows, resamples, seed, answers.groups)
                       for name, stage in stages.items()}
    if fit.helps:
        score_intervals["difference"] = intervals.paired_bootstrap(after, before, rows, resamples, seed, answers.groups)
    for score in CALIBRATION_SCORES:
        table[score] = {name: {"value": values[score].value, "low": values[score].low, "high": values[score].high}
                        for name, values in score_intervals.items()}
    return table


def risk_coverage_table(task: Task[Any], evaluated: SplitEvaluation) -> dict[str, Json]:
    """The risk of the most confident answers at each coverage, with exact 95 % intervals, and the area under all of it.
    """
    answers, abstention = answers_of(task, evaluated.examples, evaluated.predictions), task.abstention
    assert abstention is not None, "the task abstains"
    curve = risk_coverage_curve(answers.confidences.tolist(), answers.right.tolist())
    points = []
    for number in range(1, COVERAGES + 1):
        index = int((curve.coverage >= number / COVERAGES - 1e-12).argmax())
        point = operating_point(curve, index)
        low, high = risk.exact_interval(round(point.risk * point.count), point.count)
        points.append({"coverage": point.coverage, "threshold": point.threshold, "risk": point.risk, "low": low,
                       "high": high})
    table: dict[str, Json] = {"risk": abstention.risk, "threshold": abstention.threshold, "area": curve.area,
                              "points": list({fields["coverage"]: fields for fields in points}.values())}
    return table


def risk_by_threshold(task: Task[Any], evaluated: SplitEvaluation) -> list[dict[str, Json]]:
    """Thresholds of the confidence, ascending, each with the rows that the model would answer from it on and how many
    of these wrongly; [] for a task without a confidence. The first is the lowest confidence: all rows are answered.
    """
    if type(task).tempered is Task.tempered or not len(evaluated.predictions):
        return []
    answers = answers_of(task, evaluated.examples, evaluated.predictions)
    curve = risk_coverage_curve(answers.confidences.tolist(), answers.right.tolist())
    step = -(-len(curve.thresholds) // THRESHOLDS)
    points = [operating_point(curve, index) for index in range(len(curve.thresholds) - 1, -1, -step)]
    return [{"threshold": point.threshold, "coverage": point.coverage, "risk": point.risk, "answered": point.count,
             "wrong": round(point.risk * point.count)} for point in points]
