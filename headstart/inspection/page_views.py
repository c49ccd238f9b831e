"""What the page of an inspection shows: stacks of layers with their states, and views of attention between them.

Shapes: M layers with attention, H heads, N layers with states, R tokens that look, T tokens that are looked at.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.inspection.head_patterns import HeadPattern, cross_patterns, head_patterns
from headstart.inspection.projection import layer_similarities, principal_maps, similarities

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from headstart.inspection.encode import Token
    from headstart.inspection.inspection import DecoderToken, Inspection

# of PATTERN_NAMES: before, after, same word; the page opens at the head with most of one of these
TELLING_PATTERNS = (0, 1, 5)


@dataclass(frozen=True)
class Stack:
    """Layers with the states of their tokens: the whole model, or one side of an encoder-decoder."""

    name: str
    tokens: Sequence[Token | DecoderToken]
    layers: tuple[int, ...]
    states: NDArray[Any]

    def payload(self) -> dict[str, Any]:
        """Its tokens, maps and similarities for the page's script."""
        ordinary = np.asarray([not token.special for token in self.tokens])
        maps, variance_shares = principal_maps(self.states, ordinary)
        cosines = np.clip(similarities(self.states), -1, 1)
        # (N,): each layer's map uses all its colours
        low = np.minimum(np.floor(cosines.min(axis=(1, 2)) * 100) / 100, 0.99)
        levels = np.rint((cosines - low[:, None, None]) / (1 - low[:, None, None]) * 255).astype(np.uint8)
        return {
            "tokens": [{"piece": token.piece, "part": getattr(token, "part", None) or "", "special": token.special}
                       for token in self.tokens],
            "name": self.name, "layers": list(self.layers), "depth": max(self.layers), "similar": base64_bytes(levels),
            "low": low.tolist(), "maps": np.round(maps, 3).tolist(),
            "spread": np.round(variance_shares.sum(axis=1), 4).tolist(),
            "layerSimilarity": np.round(layer_similarities(self.states), 3).tolist()}


@dataclass(frozen=True)
class View:
    """Attention of the tokens of one stack to those of one: `rows` and `columns` number the stacks."""

    name: str
    rows: int
    columns: int
    weights: NDArray[Any]
    layers: tuple[int, ...]
    heads: tuple[int, ...]
    patterns: list[HeadPattern]

    def payload(self) -> dict[str, Any]:
        """Its weights, heads and their patterns for the page's script."""
        levels = np.rint(np.sqrt(np.clip(self.weights, 0, 1)) * 255).astype(np.uint8)
        # of a decoder that looks at its source: where it looks at a few words, not at the ends
        columns = self.weights.shape[-1]
        shares = [max(pattern.shares[index] for index in TELLING_PATTERNS) if self.rows == self.columns
                  else -sum(pattern.shares[1:3]) - pattern.breadth / columns for pattern in self.patterns]
        opening_head = divmod(int(np.argmax(shares)), len(self.heads)) if shares else (0, 0)
        return {"name": self.name, "rows": self.rows, "columns": self.columns, "weights": base64_bytes(levels),
                "attentionLayers": list(self.layers), "heads": list(self.heads), "first": opening_head,
                "patterns": [pattern.text() for pattern in self.patterns]}


def stacks_of(inspection: Inspection) -> list[Stack]:
    """The model's only stack, or encoder and decoder."""
    target = inspection.target
    source = Stack("Encoder" if target else "", inspection.tokens, inspection.layers, inspection.hidden_states)
    return [source, *([] if target is None else [Stack("Decoder", target.tokens, target.layers,
                                                       target.hidden_states)])]


def views_of(inspection: Inspection) -> list[View]:
    """Every kind of attention that was kept."""
    target, layers, heads = inspection.target, inspection.attention_layers, inspection.heads
    views = [View("Encoder" if target else "", 0, 0, inspection.attentions, layers, heads,
                  head_patterns(inspection.attentions, inspection.tokens, layers, heads))]
    if target is not None:
        layers, heads = target.attention_layers, target.heads
        cross = cross_patterns(target.cross_attentions, target.tokens, inspection.tokens, layers, heads)
        views = [View("Decoder to source", 1, 0, target.cross_attentions, layers, heads, cross), *views,
                 View("Decoder", 1, 1, target.attentions, layers, heads,
                      head_patterns(target.attentions, target.tokens, layers, heads))]
    return [view for view in views if view.weights.size]


def base64_bytes(levels: NDArray[np.uint8]) -> str:
    """Bytes as base64."""
    return base64.b64encode(levels.tobytes()).decode()
