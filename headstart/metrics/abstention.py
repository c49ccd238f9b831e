"""When to abstain: risk and coverage of answers by confidence, and the confidence threshold from which on to answer.

Of M answers, the k with the highest confidence are given: coverage is k / M, risk the share of wrong ones among the k
(El-Yaniv and Wiener 2010, section 2; the area under risk over coverage is Geifman et al. 2019's AURC). Answers of equal
confidence are given or withheld together.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headstart.contract import Figure, Json
from headstart.metrics.intervals import Z_95

Floats = NDArray[np.float64]
CURVE_POINTS = 400  # points of the curve in a figure


@dataclass(frozen=True)
class RiskCoverageCurve:
    """Every confidence threshold, highest first, with coverage and risk from there on: (K,) each."""

    thresholds: Floats
    coverage: Floats
    risk: Floats
    area: float
    count: int


@dataclass(frozen=True)
class OperatingPoint:
    """A threshold with its coverage and risk on the answers that it was chosen on; `risk_high` is the risk's upper 95 %
    bound (Wilson).
    """

    threshold: float
    coverage: float
    risk: float
    risk_high: float
    count: int

    def json(self) -> dict[str, Json]:
        """The same as a JSON object."""
        return dict(vars(self))


def risk_coverage_curve(confidences: Sequence[float], correct: Sequence[bool | float]) -> RiskCoverageCurve:
    """Risk over coverage of answers; `correct` is whether each is right, or how far (0 to 1). Raises ValueError for
    none, or for NaN.
    """
    scores, correctness = np.asarray(confidences, dtype=np.float64), np.asarray(correct, dtype=np.float64)
    if not len(scores) or len(scores) != len(correctness) or np.isnan(scores).any() or np.isnan(correctness).any():
        raise ValueError(f"{len(scores)} confidences and {len(correctness)} answers: as many of each were expected, "
                         "all numbers, at least one")
    order = np.argsort(-scores, kind="stable")
    scores, wrong = scores[order], np.cumsum(1 - correctness[order])
    last_of_ties = tie_ends(scores)
    answer_counts = (last_of_ties + 1).astype(np.float64)
    risk = wrong[last_of_ties] / answer_counts
    area = area_under_risk(answer_counts, wrong[last_of_ties])
    return RiskCoverageCurve(scores[last_of_ties], answer_counts / len(scores), risk, area, len(scores))


def tie_ends(ordered: Floats) -> NDArray[np.int64]:
    """The last position of each run of equals among ordered numbers, (M,) -> (K,)."""
    return np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))


def area_under_risk(answer_counts: Floats, wrong_counts: Floats) -> float:
    """The mean risk over k = 1 … M; within a run of equals the wrong ones are spread evenly."""
    counts = np.arange(1, int(answer_counts[-1]) + 1, dtype=np.float64)
    expected = np.interp(counts, np.concatenate([[0.0], answer_counts]), np.concatenate([[0.0], wrong_counts]))
    return float(np.mean(expected / counts))


def oracle_area(correct: Sequence[bool | float]) -> float:
    """The smallest area that any confidence could have on these answers: all right ones before all wrong ones."""
    if len(set(correct)) < 2:
        return 1 - float(np.mean(np.asarray(correct, dtype=float)))
    return risk_coverage_curve([float(value) for value in correct], correct).area


def point_at_coverage(curve: RiskCoverageCurve, coverage: float) -> OperatingPoint:
    """The threshold with the lowest risk that still gives at least this share of the answers; the higher coverage of
    equals.
    """
    eligible = np.flatnonzero(curve.coverage >= min(coverage, 1.0) - 1e-12)
    lowest = curve.risk[eligible].min()
    return operating_point(curve, int(eligible[curve.risk[eligible] <= lowest + 1e-12][-1]))


def point_at_risk(curve: RiskCoverageCurve, risk: float) -> OperatingPoint | None:
    """The threshold that gives most answers at this risk or less; None where every threshold has a higher one."""
    eligible = np.flatnonzero(curve.risk <= risk + 1e-12)
    return operating_point(curve, int(eligible[-1])) if len(eligible) else None


def operating_point(curve: RiskCoverageCurve, index: int) -> OperatingPoint:
    """One point of the curve."""
    risk, count = float(curve.risk[index]), round(curve.coverage[index] * curve.count)
    return OperatingPoint(float(curve.thresholds[index]), float(curve.coverage[index]), risk, wilson_high(risk, count),
                          count)


def wilson_high(share: float, count: int) -> float:
    """The upper end of the 95 % interval of a share of `count` (Wilson 1927)."""
    square = Z_95**2 / count
    return min(1.0, (share + square / 2 + Z_95 * math.sqrt(share * (1 - share) / count + square / (4 * count)))
               / (1 + square))


def apply_threshold(threshold: float, confidences: Sequence[float],
                    correct: Sequence[bool | float]) -> dict[str, float]:
    """Coverage and risk of a threshold on other answers than it was chosen on; risk is NaN where none is given."""
    scores, correctness = np.asarray(confidences, dtype=np.float64), np.asarray(correct, dtype=np.float64)
    is_answered = scores >= threshold
    return {"coverage": float(is_answered.mean()),
            "risk": float(1 - correctness[is_answered].mean()) if is_answered.any() else math.nan}


def figure(curves: Mapping[str, RiskCoverageCurve], *, name: str = "abstention",
           point: OperatingPoint | None = None) -> Figure:
    """Risk over coverage, one line for each kind of confidence."""
    series = {}
    for kind, curve in curves.items():
        indices = np.unique(np.linspace(0, len(curve.risk) - 1, min(CURVE_POINTS, len(curve.risk))).round().astype(int))
        series[f"{kind} (area {curve.area:.3f})"] = [[float(curve.coverage[index]), float(curve.risk[index])]
                                                     for index in indices]
    caption = "" if point is None else (f" At the confidence threshold {point.threshold:.3f}, {point.coverage:.0%} are "
                                        f"answered, {point.risk:.1%} of these wrongly (at most {point.risk_high:.1%} "
                                        "with 95 % certainty).")
    return Figure(name, "Risk-coverage curve", "curve",
                  {"x_title": "coverage: share of questions answered, the most confident first",
                   "y_title": "risk: share of these that are wrong", "series": series, "diagonal": False},
                  f"Lower is better; at the right end everything is answered.{caption}")
