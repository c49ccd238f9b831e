"""Weighted means of numbers that some examples lack.

M examples, R weightings.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def known_mean(values: NDArray[Any], weights: NDArray[np.float64]) -> NDArray[Any]:
    """Means over the examples that have a number (are not NaN), (M,) under (R, M) -> (R,); NaN where none has."""
    numbers = np.asarray(values, dtype=np.float64)
    known = ~np.isnan(numbers)
    total = weights[:, known].sum(axis=1)
    found: NDArray[Any] = np.divide(weights[:, known] @ numbers[known], total, out=np.full(len(total), np.nan), where=total > 0)
    return found
