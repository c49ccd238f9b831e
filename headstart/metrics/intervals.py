"""95 % intervals and paired differences by the bootstrap: measures are reweighted, nothing is decoded again.

M rows, R resamples, r resamples of a block.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Scorer = Callable[[Floats], Mapping[str, NDArray[Any]]]
Z_95 = 1.96  # standard deviations of a two-sided 95 % interval
BLOCK = 64
MAX_UNDEFINED = 0.05  # the largest share of undefined resamples with which an interval is given


@dataclass(frozen=True)
class Interval:
    """A value with its 95 % percentile interval (Efron 1979); None where undefined, with a reason."""

    value: float | None
    low: float | None
    high: float | None
    n: int
    groups: int
    reason: str | None = None


def resample_weights(rows: int, resamples: int, seed: int, groups: NDArray[np.int64] | None = None) -> Iterator[Floats]:
    """How often each row occurs in each resample: blocks of (r, M); rows of a group come and go together.

    Resample k depends on (rows, seed, k, groups) alone.
    """
    count = rows if groups is None else int(groups.max()) + 1
    for start in range(0, resamples, BLOCK):
        block = np.empty((min(BLOCK, resamples - start), count))
        for index in range(len(block)):
            rng = np.random.default_rng([seed, 17, start + index])
            block[index] = np.bincount(rng.integers(0, count, count), minlength=count)
        yield block if groups is None else block[:, groups]


def bootstrap(score: Scorer, rows: int, resamples: int, seed: int,
              groups: NDArray[np.int64] | None = None) -> dict[str, Interval]:
    """Every score on the rows as they are, with its interval over the resamples (none when `resamples` is 0)."""
    point = score(np.ones((1, rows)))
    blocks: dict[str, list[NDArray[Any]]] = {name: [] for name in point}
    for weights in resample_weights(rows, resamples, seed, groups):
        for name, values in score(weights).items():
            blocks[name].append(values)
    count = rows if groups is None else int(groups.max()) + 1
    return {name: interval(float(value[0]), blocks[name], rows, count) for name, value in point.items()}


def interval(value: float, blocks: list[NDArray[Any]], rows: int, groups: int) -> Interval:
    """The percentile interval of one score; undefined resamples are left out."""
    if np.isnan(value):
        return Interval(None, None, None, rows, groups, "undefined on these rows")
    if not blocks:
        return Interval(value, None, None, rows, groups)
    if groups < 2:  # every resample is the same
        return Interval(value, None, None, rows, groups, "a single row, or group of rows, has no interval")
    values = np.concatenate(blocks)
    defined = values[~np.isnan(values)]
    if len(defined) < (1 - MAX_UNDEFINED) * len(values):
        return Interval(value, None, None, rows, groups, "undefined on too many resamples for an interval")
    low, high = np.quantile(defined, [0.025, 0.975])
    return Interval(value, float(low), float(high), rows, groups)


def paired_bootstrap(first: Scorer, second: Scorer, rows: int, resamples: int, seed: int,
                     groups: NDArray[np.int64] | None = None) -> dict[str, Interval]:
    """first minus second for every score, both on the same resamples of the same rows."""
    def difference(weights: Floats) -> dict[str, NDArray[Any]]:
        first_scores, second_scores = first(weights), second(weights)
        return {name: first_scores[name] - second_scores[name] for name in first_scores}

    return bootstrap(difference, rows, resamples, seed, groups)


def signature(name: str, definition: str, rows: int, resamples: int, seed: int,
              groups: NDArray[np.int64] | None, precision: str = "", folds: int = 0) -> str:
    """How a score was computed, in one line, so that two can be compared; `precision` is what the model computed in,
    `folds` how many models predicted the rows, each those that it was not trained on.
    """
    grouping = "" if groups is None else f" over {int(groups.max()) + 1} groups"
    method = f"bootstrap {resamples} percentile 95%{grouping} seed {seed}" if resamples else "no interval"
    computed = f" | precision {precision}" if precision else ""
    held_out = f" | out of fold, {folds} folds" if folds else ""
    return f"{name} | {definition} | rows {rows} | {method}{held_out}{computed} | headstart.metrics 1"
