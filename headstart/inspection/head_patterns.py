"""Attention patterns of heads: the token before, the token after, itself, the first token, separators, or mixed.

Shapes: L layers, H heads, T tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from headstart.inspection.encode import Token

PATTERN_NAMES = ("the token before", "the token after", "itself", "the first token", "the other special tokens",
                 "the same word elsewhere")
MIN_SHARE = 0.4  # the mean share of attention from which a pattern gives a head its name


@dataclass(frozen=True)
class HeadPattern:
    """A head's pattern on one text: the mean share of attention that each of PATTERN_NAMES gets, and how broadly it
    spreads.

    `breadth` is e to the mean entropy: 1 when every token attends to a single token, T when to all equally.
    """

    layer: int
    head: int
    shares: tuple[float, ...]
    breadth: float

    @property
    def name(self) -> str:
        """The pattern that gets most of the attention; "mixed" where none gets much."""
        share, name = max(zip(self.shares, PATTERN_NAMES, strict=True))
        if share >= MIN_SHARE:
            return name
        return "mixed"

    def text(self) -> str:
        """The name with its share, or with the breadth of a mixed head."""
        share = max(self.shares)
        if self.name == "mixed":
            return f"mixed, about {self.breadth:.1f} tokens at once"
        return f"{self.name} ({100 * share:.0f} %)"


def head_patterns(attentions: NDArray[Any], tokens: Sequence[Token], layers: Sequence[int],
                  heads: Sequence[int]) -> list[HeadPattern]:
    """The pattern of every head, (L, H, T, T), after the measures of Clark et al. 2019 (section 3)."""
    import numpy as np

    masks = pattern_masks(tokens)
    patterns = []
    for layer_index, layer in enumerate(layers):
        for head_index, head in enumerate(heads):
            weights = attentions[layer_index, head_index].astype(np.float64)
            shares = tuple(float((weights * mask).sum(axis=1)[mask.any(axis=1)].mean()) if mask.any() else 0.0
                           for mask in masks)
            entropy = -(weights * np.log(np.maximum(weights, 1e-12))).sum(axis=1).mean()
            patterns.append(HeadPattern(layer, head, shares, float(np.exp(entropy))))
    return patterns


def pattern_masks(tokens: Sequence[Token]) -> list[NDArray[Any]]:
    """For each of PATTERN_NAMES the pairs of tokens that count for it, (T, T); only special tokens may count twice."""
    import numpy as np

    count = len(tokens)
    special = np.asarray([token.special for token in tokens])
    first_token = np.zeros(count, dtype=bool)
    first_token[0] = True  # on which many heads rest, special or not
    ids = np.asarray([token.id for token in tokens])
    any_token = np.ones((count, 1), dtype=bool)
    same_word = (ids[:, None] == ids[None, :]) & ~np.eye(count, dtype=bool) & ~special[:, None]
    return [np.eye(count, k=-1, dtype=bool), np.eye(count, k=1, dtype=bool), np.eye(count, dtype=bool),
            any_token & first_token, any_token & (special & ~first_token), same_word]
