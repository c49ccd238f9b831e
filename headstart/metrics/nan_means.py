"""Weighted means of numbers that some examples lack.

M examples, R weightings.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def weighted_nanmean(values: NDArray[Any], weights: NDArray[np.float64]) -> NDArray[Any]:
    """Means over the examples that have a number (are not NaN), (M,) under (R, M) -> (R,); NaN where none has."""
    numbers = np.asarray(values, dtype=np.float64)
    defined = ~np.isnan(numbers)
    total = weights[:, defined].sum(axis=1)
    means: NDArray[Any] = np.divide(weights[:, defined] @ numbers[defined], total, out=np.full(len(total), np.nan),
                                    where=total > 0)
    return means
