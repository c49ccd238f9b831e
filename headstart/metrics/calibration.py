"""Temperature scaling: one number that makes probabilities as high as their answers are often right, and changes no
answer.

Outputs are divided by a temperature before the softmax (Guo et al. 2017, section 4.2): above 1 the model was too sure,
below 1 not sure enough. It is the one with the smallest mean loss on dev.

M rows, R weightings, T temperature.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.metrics.classification import BINS, bin_indices, weighted_sum
from headstart.metrics.intervals import Z_95

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Losses = Callable[[float], Floats]  # the loss of each row at a temperature, (M,)
LOWEST, HIGHEST = 1 / 20, 20.0  # temperatures that are tried; the best at an end is none
FOLDS = 5
MIN_GROUPS = 20  # fewer tell nothing of chance
MAX_ROWS = 10_000  # for one number they are plenty
GOLDEN = (math.sqrt(5) - 1) / 2


@dataclass(frozen=True)
class TemperatureFit:
    """The best temperature of some rows, and what it gains on rows that it was not learned from: the mean fall of the
    loss, with its 95 % interval.
    """

    temperature: float
    gain: float
    gain_low: float
    gain_high: float
    rows: int
    reason: str

    @property
    def helps(self) -> bool:
        """Whether it lowers the loss beyond chance: the whole interval is above 0."""
        return not self.reason


def fit_temperature(losses: Losses, groups: Ints, seed: int) -> TemperatureFit:
    """The temperature with the smallest mean loss, and whether it helps on rows that had no part in choosing it.

    The latter by five folds of whole groups (groups (M,) from 0 on): each row's gain is at the temperature of the other
    folds. It does not help where the interval of the mean gain holds 0, where there are fewer than 20 groups, or where
    the loss falls up to an end of what is tried.
    """
    rows = len(groups)
    temperature = best_temperature(losses)
    group_count = int(groups.max(initial=-1)) + 1
    if group_count < MIN_GROUPS:
        return TemperatureFit(temperature, 0.0, 0.0, 0.0, rows,
                              f"{group_count} rows are too few to tell a gain from chance ({MIN_GROUPS} were expected)")
    folds = (np.random.default_rng(seed).permutation(group_count) % FOLDS)[groups]
    gains = np.zeros(rows)
    before = losses(1.0)
    for fold in range(FOLDS):
        fit_rows = folds != fold
        fold_temperature = best_temperature(partial(losses_of_rows, losses, fit_rows), steps=18)
        gains[~fit_rows] = (before - losses(fold_temperature))[~fit_rows]
    group_gains = np.bincount(groups, weights=gains) / (rows / group_count)
    gain = float(group_gains.mean())
    margin = Z_95 * float(group_gains.std(ddof=1)) / math.sqrt(group_count)
    reason = ""
    if not LOWEST * 1.01 < temperature < HIGHEST / 1.01:
        reason = "the loss keeps falling: these rows have no best temperature"
    elif gain - margin <= 0:
        reason = "on held-out rows it lowers the loss by no more than chance"
    return TemperatureFit(temperature, gain, gain - margin, gain + margin, rows, reason)


def losses_of_rows(losses: Losses, rows: NDArray[np.bool_], temperature: float) -> Floats:
    """The losses of some of the rows."""
    return losses(temperature)[rows]


def best_temperature(losses: Losses, steps: int = 40) -> float:
    """The temperature with the smallest mean loss, by golden-section search over its logarithm (Kiefer 1953)."""
    def mean_loss(log_temperature: float) -> float:
        return float(losses(math.exp(log_temperature)).mean())

    grid = np.linspace(math.log(LOWEST), math.log(HIGHEST), 13)
    best = int(np.argmin([mean_loss(point) for point in grid]))
    low, high = float(grid[max(0, best - 1)]), float(grid[min(len(grid) - 1, best + 1)])
    lower, upper = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
    lower_loss, upper_loss = mean_loss(lower), mean_loss(upper)
    for _ in range(steps):
        if lower_loss <= upper_loss:
            high, upper, upper_loss = upper, lower, lower_loss
            lower = high - GOLDEN * (high - low)
            lower_loss = mean_loss(lower)
        else:
            low, lower, lower_loss = lower, upper, upper_loss
            upper = low + GOLDEN * (high - low)
            upper_loss = mean_loss(upper)
    return math.exp((low + high) / 2)


def tempered_log_probabilities(log_probabilities: NDArray[Any], temperature: float) -> Floats:
    """Log-probabilities (…, C) once the logits behind them are divided by the temperature."""
    scaled = np.maximum(log_probabilities, -1e30) / temperature  # -inf of a probability that is 0 would stay NaN
    scaled = scaled - scaled.max(axis=-1, keepdims=True)
    normalised: Floats = scaled - np.log(np.exp(scaled).sum(axis=-1, keepdims=True))
    return normalised


def calibration_scores(losses: Floats, confidences: Floats, right: NDArray[np.bool_],
                       weights: Floats) -> dict[str, Floats]:
    """Mean loss and expected calibration error (Guo et al. 2017, eq. 3, 15 equal bins) under R weightings, (R,) each.
    """
    total = weights.sum(axis=1)
    total[total == 0] = np.nan
    bin_of_row, gaps = bin_indices(confidences, BINS), right - confidences
    bin_rows = (np.flatnonzero(bin_of_row == index) for index in range(BINS))
    errors = [np.abs(weighted_sum(weights[:, rows], gaps[rows])) for rows in bin_rows]
    return {"log_loss": weighted_sum(weights, losses) / total, "calibration_error": np.sum(errors, axis=0) / total}


def binary_losses(confidences: Floats, right: NDArray[np.bool_]) -> Floats:
    """-ln of the probability that an answer was given of what came: right, or wrong; clipped at 2.2e-16, (M,)."""
    tiny = np.finfo(np.float64).eps
    losses: Floats = -np.log(np.clip(np.where(right, confidences, 1 - confidences), tiny, 1))
    return losses
