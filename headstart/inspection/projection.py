"""Projections of hidden states: a map of each layer's tokens on two components, and cosine similarities.

Shapes: N layers, T tokens, W width.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def principal_maps(states: NDArray[Any], ordinary: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Each layer's tokens on their two principal components, (N, T, 2), and the share of variance these hold, (N, 2).

    The components are those of the `ordinary` tokens: special ones often lie so far out that little else would be
    visible. Each map is rotated to fit the one before (orthogonal Procrustes, Schönemann 1966), so that a token does
    not jump about.
    """
    included = ordinary if ordinary.sum() > 1 else np.ones_like(ordinary)
    maps: list[Floats] = []
    shares = []
    for layer in states.astype(np.float64):
        centred = layer - layer[included].mean(axis=0)
        _, singular_values, axes = np.linalg.svd(centred[included], full_matrices=False)
        axes = np.concatenate([axes, np.zeros((2, axes.shape[1]))])[:2]  # two tokens span a single line
        total = max(float((singular_values ** 2).sum()), 1e-12)
        share = np.concatenate([singular_values, [0.0, 0.0]])[:2] ** 2 / total
        projected = centred @ axes.T
        if maps:
            u, _, v = np.linalg.svd(projected[included].T @ maps[-1][included])
            projected = projected @ (u @ v)
        maps.append(projected)
        shares.append(share)
    return np.stack(maps), np.stack(shares)


def similarities(states: NDArray[Any]) -> Floats:
    """Cosine of every two tokens in each layer, (N, T, T)."""
    normalized = states.astype(np.float64)
    normalized /= np.maximum(np.linalg.norm(normalized, axis=-1, keepdims=True), 1e-12)
    cosines: Floats = normalized @ normalized.transpose(0, 2, 1)
    return cosines


def layer_similarities(states: NDArray[Any]) -> Floats:
    """Cosine of each token's state with its state in the layer before, (N - 1, T): how much a layer leaves as it was.
    """
    normalized = states.astype(np.float64)
    normalized /= np.maximum(np.linalg.norm(normalized, axis=-1, keepdims=True), 1e-12)
    cosines: Floats = (normalized[1:] * normalized[:-1]).sum(axis=-1)
    return cosines
