"""When to keep silent: risk and coverage of answers by confidence, and the confidence from which on it is worth answering.

Of M answers, the k with the highest confidence are given: coverage is k / M, risk the share of wrong ones among the k
(El-Yaniv and Wiener 2010, section 2; the area under risk over coverage is Geifman et al. 2019's AURC). Answers of equal
confidence are given or kept back together.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headstart.contract import Figure, Json

Floats = NDArray[np.float64]
SURE = 1.96  # standard deviations of a two-sided 95 % interval
SHOWN = 400  # points of the curve in a figure


@dataclass(frozen=True)
class Curve:
    """Each confidence from which on answers could be given, highest first, with coverage and risk from there: (K,) each."""

    thresholds: Floats
    coverage: Floats
    risk: Floats
    area: float
    count: int


@dataclass(frozen=True)
class Choice:
    """A threshold with its coverage and risk on the answers that it was chosen on; `risk_high` is the risk's upper 95 % bound (Wilson)."""

    threshold: float
    coverage: float
    risk: float
    risk_high: float
    count: int

    def json(self) -> dict[str, Json]:
        """The same as a JSON object."""
        return dict(vars(self))


def curve(confidences: Sequence[float], right: Sequence[bool | float]) -> Curve:
    """Risk over coverage of answers; `right` is whether each is, or how far (0 to 1). Raises ValueError for none, or for NaN."""
    sure, good = np.asarray(confidences, dtype=np.float64), np.asarray(right, dtype=np.float64)
    if not len(sure) or len(sure) != len(good) or np.isnan(sure).any() or np.isnan(good).any():
        raise ValueError(f"{len(sure)} confidences and {len(good)} answers: as many of each were expected, all numbers, at least one")
    order = np.argsort(-sure, kind="stable")
    sure, wrong = sure[order], np.cumsum(1 - good[order])
    last = np.flatnonzero(np.append(sure[1:] != sure[:-1], True))  # the last of each run of equals
    given = (last + 1).astype(np.float64)
    risk = wrong[last] / given
    return Curve(sure[last], given / len(sure), risk, area(given, wrong[last]), len(sure))


def area(given: Floats, wrong: Floats) -> float:
    """The mean risk over k = 1 … M; within a run of equals the wrong ones are spread evenly."""
    counts = np.arange(1, int(given[-1]) + 1, dtype=np.float64)
    expected = np.interp(counts, np.concatenate([[0.0], given]), np.concatenate([[0.0], wrong]))
    return float(np.mean(expected / counts))


def best_area(right: Sequence[bool | float]) -> float:
    """The smallest area that any confidence could have on these answers: all right ones before all wrong ones."""
    return curve([float(one) for one in right], right).area if len(set(right)) > 1 else 1 - float(np.mean(np.asarray(right, dtype=float)))


def at_coverage(held: Curve, coverage: float) -> Choice:
    """The threshold with the lowest risk that still gives at least this share of the answers; the higher coverage of equals."""
    able = np.flatnonzero(held.coverage >= min(coverage, 1.0) - 1e-12)
    lowest = held.risk[able].min()
    return choice(held, int(able[held.risk[able] <= lowest + 1e-12][-1]))


def at_risk(held: Curve, risk: float) -> Choice | None:
    """The threshold that gives most answers at this risk or less; None where every threshold has a higher one."""
    able = np.flatnonzero(held.risk <= risk + 1e-12)
    return choice(held, int(able[-1])) if len(able) else None


def choice(held: Curve, place: int) -> Choice:
    """One point of the curve."""
    risk, count = float(held.risk[place]), round(held.coverage[place] * held.count)
    return Choice(float(held.thresholds[place]), float(held.coverage[place]), risk, wilson_high(risk, count), count)


def wilson_high(share: float, count: int) -> float:
    """The upper end of the 95 % interval of a share of `count` (Wilson 1927)."""
    square = SURE**2 / count
    return min(1.0, (share + square / 2 + SURE * math.sqrt(share * (1 - share) / count + square / (4 * count))) / (1 + square))


def applied(threshold: float, confidences: Sequence[float], right: Sequence[bool | float]) -> dict[str, float]:
    """Coverage and risk of a threshold on other answers than it was chosen on; risk is NaN where none is given."""
    sure, good = np.asarray(confidences, dtype=np.float64), np.asarray(right, dtype=np.float64)
    given = sure >= threshold
    return {"coverage": float(given.mean()), "risk": float(1 - good[given].mean()) if given.any() else math.nan}


def figure(curves: Mapping[str, Curve], *, name: str = "abstention", chosen: Choice | None = None) -> Figure:
    """Risk over coverage, one line for each kind of confidence."""
    series = {}
    for word, held in curves.items():
        places = np.unique(np.linspace(0, len(held.risk) - 1, min(SHOWN, len(held.risk))).round().astype(int))
        series[f"{word} (area {held.area:.3f})"] = [[float(held.coverage[place]), float(held.risk[place])] for place in places]
    words = "" if chosen is None else (f" From a confidence of {chosen.threshold:.3f} on {chosen.coverage:.0%} are answered, "
                                       f"{chosen.risk:.1%} of these wrongly (at most {chosen.risk_high:.1%} with 95 % certainty).")
    return Figure(name, "Risk of the answers that are given", "curve",
                  {"x_title": "share of questions answered, the surest first", "y_title": "share of these that are wrong", "series": series,
                   "diagonal": False}, f"Lower is better; at the right end everything is answered.{words}")
