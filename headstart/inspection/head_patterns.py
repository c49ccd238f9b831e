"""What heads look at, in a word: the token before, the token after, itself, the first token, separators, or no one thing.

Shapes: L layers, H heads, T tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from headstart.inspection.encode import Token

NAMES = ("the token before", "the token after", "itself", "the first token", "the other special tokens", "the same word elsewhere")
CLEAR = 0.4  # the mean share from which a head is called after what it looks at


@dataclass(frozen=True)
class Pattern:
    """A head's habit on one text: the mean share of attention that goes to each of NAMES, and how broadly it spreads.

    `breadth` is e to the mean entropy: 1 when every token looks at one token alone, T when at all alike.
    """

    layer: int
    head: int
    shares: tuple[float, ...]
    breadth: float

    @property
    def name(self) -> str:
        """What it mostly looks at; "broad" or "mixed" where it is no one thing."""
        share, name = max(zip(self.shares, NAMES, strict=True))
        if share >= CLEAR:
            return name
        return "mixed"

    def words(self) -> str:
        """One line: its habit with the share."""
        share = max(self.shares)
        if self.name == "mixed":
            return f"mixed, about {self.breadth:.1f} tokens at once"
        return f"{self.name} ({100 * share:.0f} %)"


def patterns(attentions: NDArray[Any], tokens: Sequence[Token], layers: Sequence[int], heads: Sequence[int]) -> list[Pattern]:
    """The habit of every head (L, H, T, T), after the measures of Clark et al. 2019 (section 3)."""
    import numpy as np

    masks = masks_of(tokens)
    found = []
    for row, layer in enumerate(layers):
        for column, head in enumerate(heads):
            weights = attentions[row, column].astype(np.float64)
            shares = tuple(float((weights * mask).sum(axis=1)[mask.any(axis=1)].mean()) if mask.any() else 0.0 for mask in masks)
            entropy = -(weights * np.log(np.maximum(weights, 1e-12))).sum(axis=1).mean()
            found.append(Pattern(layer, head, shares, float(np.exp(entropy))))
    return found


def masks_of(tokens: Sequence[Token]) -> list[NDArray[Any]]:
    """For each of NAMES which token may be looked at from which, (T, T); none counts twice but by being special."""
    import numpy as np

    count = len(tokens)
    special = np.asarray([token.special for token in tokens])
    first = np.zeros(count, dtype=bool)
    first[0] = True  # where many heads rest, special or not
    ids = np.asarray([token.id for token in tokens])
    every = np.ones((count, 1), dtype=bool)
    same = (ids[:, None] == ids[None, :]) & ~np.eye(count, dtype=bool) & ~special[:, None]
    return [np.eye(count, k=-1, dtype=bool), np.eye(count, k=1, dtype=bool), np.eye(count, dtype=bool), every & first,
            every & (special & ~first), same]
