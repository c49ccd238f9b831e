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
    from headstart.inspection.inspection import DecoderToken

PATTERN_NAMES = ("the token before", "the token after", "itself", "the first token", "the other special tokens",
                 "the same word elsewhere")
# of a decoder that looks at its source
CROSS_PATTERN_NAMES = ("the first token", "the last token", "the other special tokens", "the same piece")
MIN_SHARE = 0.4  # the mean share of attention from which a pattern gives a head its name


@dataclass(frozen=True)
class HeadPattern:
    """A head's pattern on one text: the mean share of attention that each of `names` gets, and how broadly it spreads.

    `breadth` is e to the mean entropy: 1 when every token attends to a single token, T when to all equally.
    """

    layer: int
    head: int
    shares: tuple[float, ...]
    breadth: float
    names: tuple[str, ...] = PATTERN_NAMES

    @property
    def name(self) -> str:
        """The pattern that gets most of the attention; "mixed" where none gets much."""
        share, name = max(zip(self.shares, self.names, strict=True))
        if share >= MIN_SHARE:
            return name
        return "mixed"

    def text(self) -> str:
        """The name with its share, or with the breadth of a mixed head."""
        share = max(self.shares)
        if self.name == "mixed":
            return f"mixed, about {self.breadth:.1f} tokens at once"
        return f"{self.name} ({100 * share:.0f} %)"


def head_patterns(attentions: NDArray[Any], tokens: Sequence[Token | DecoderToken], layers: Sequence[int],
                  heads: Sequence[int]) -> list[HeadPattern]:
    """The pattern of every head, (L, H, T, T), after the measures of Clark et al. 2019 (section 3)."""
    return patterns_by_masks(attentions, pattern_masks(tokens), layers, heads, PATTERN_NAMES)


def cross_patterns(attentions: NDArray[Any], target: Sequence[DecoderToken], source: Sequence[Token],
                   layers: Sequence[int], heads: Sequence[int]) -> list[HeadPattern]:
    """The same of heads that look from a target's tokens at a source's, (L, H, R, T)."""
    import numpy as np

    special = np.asarray([token.special for token in source])
    first_token, last_token = (np.arange(len(source)) == position for position in (0, len(source) - 1))
    any_token = np.ones((len(target), 1), dtype=bool)
    same_piece = np.asarray([[token.piece == source_token.piece and not source_token.special for source_token in source]
                             for token in target])
    masks = [any_token & first_token, any_token & last_token, any_token & (special & ~first_token & ~last_token),
             same_piece]
    return patterns_by_masks(attentions, masks, layers, heads, CROSS_PATTERN_NAMES)


def patterns_by_masks(attentions: NDArray[Any], masks: Sequence[NDArray[Any]], layers: Sequence[int],
                      heads: Sequence[int], names: tuple[str, ...]) -> list[HeadPattern]:
    """How much of each head's attention falls on the pairs of tokens of each mask."""
    import numpy as np

    patterns = []
    for layer_index, layer in enumerate(layers):
        for head_index, head in enumerate(heads):
            weights = attentions[layer_index, head_index].astype(np.float64)
            shares = tuple(float((weights * mask).sum(axis=1)[mask.any(axis=1)].mean()) if mask.any() else 0.0
                           for mask in masks)
            entropy = -(weights * np.log(np.maximum(weights, 1e-12))).sum(axis=1).mean()
            patterns.append(HeadPattern(layer, head, shares, float(np.exp(entropy)), names))
    return patterns


def pattern_masks(tokens: Sequence[Token | DecoderToken]) -> list[NDArray[Any]]:
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
