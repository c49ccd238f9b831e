"""Where tokens lie: a flat map of each layer's states, and how alike states are.

Shapes: N layers, T tokens, W width.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def flat_maps(states: NDArray[Any], ordinary: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Each layer's tokens on their two principal components, (N, T, 2), and the share of variance these hold, (N, 2).

    The components are those of the `ordinary` tokens: special ones often lie so far out that they would be all there
    is to see. Each map is turned to fit the one before (Schönemann 1966), so that a token does not jump about.
    """
    chosen = ordinary if ordinary.sum() > 1 else np.ones_like(ordinary)
    made: list[Floats] = []
    shares = []
    for layer in states.astype(np.float64):
        centred = layer - layer[chosen].mean(axis=0)
        _, sizes, axes = np.linalg.svd(centred[chosen], full_matrices=False)
        axes = np.concatenate([axes, np.zeros((2, axes.shape[1]))])[:2]  # two tokens span a single line
        total = max(float((sizes ** 2).sum()), 1e-12)
        held = np.concatenate([sizes, [0.0, 0.0]])[:2] ** 2 / total
        flat = centred @ axes.T
        if made:
            left, _, right = np.linalg.svd(flat[chosen].T @ made[-1][chosen])
            flat = flat @ (left @ right)
        made.append(flat)
        shares.append(held)
    return np.stack(made), np.stack(shares)


def similarities(states: NDArray[Any]) -> Floats:
    """Cosine of every two tokens in each layer, (N, T, T)."""
    held = states.astype(np.float64)
    held /= np.maximum(np.linalg.norm(held, axis=-1, keepdims=True), 1e-12)
    found: Floats = held @ held.transpose(0, 2, 1)
    return found


def kept(states: NDArray[Any]) -> Floats:
    """Cosine of each token's state with its state in the layer before, (N - 1, T): how much a layer leaves as it was."""
    held = states.astype(np.float64)
    held /= np.maximum(np.linalg.norm(held, axis=-1, keepdims=True), 1e-12)
    found: Floats = (held[1:] * held[:-1]).sum(axis=-1)
    return found
