"""The majority baseline: how frequent each class is in training."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def class_frequencies(gold: NDArray[np.int64], classes: int) -> NDArray[np.float64]:
    """The share of each class in the training rows, (C,)."""
    return np.bincount(gold, minlength=classes) / max(1, len(gold))
