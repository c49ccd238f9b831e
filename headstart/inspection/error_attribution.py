"""Which words of a text a wrong answer rests on: integrated gradients of the output that gave it.

K points of a path, T tokens, C columns of an output.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from headstart.contract import Doubt
from headstart.errors import UserError
from headstart.inspection.attribution import Scorer, integrated
from headstart.inspection.encode import Encoded, Word, encode, words

if TYPE_CHECKING:
    from headstart.models.model import Model

STEPS, MORE = 16, 32  # points of the path, and where the shares miss much: five rows of MiniLM miss 2 % at most, 24 for all missed 15 %
MISSED = 0.05  # of what is explained; the error is told beside it


@dataclass(frozen=True)
class Weighed:
    """Words with their scores for the answer, and what the scores miss of the output's difference from an empty text."""

    words: tuple[tuple[Word, float], ...]
    difference: float
    error: float


def weigh(model: Model, doubt: Doubt) -> Weighed | None:
    """How much each word spoke for a wrong answer; None where its text is longer than the model reads at once."""
    try:
        encoded = encode(model, doubt.text, doubt.pair)
    except UserError:
        return None
    index = doubt.column if doubt.column is not None else [(place_of(encoded, doubt, at), column) for at, column in doubt.places]
    scorer = Scorer(model, encoded, "pad")
    value, base = (scorer.value(ids, index) for ids in (list(encoded.feature.ids), scorer.plain))
    scores, _ = integrated(scorer, index, value - base, STEPS)
    if abs(float(scores.sum()) - (value - base)) > MISSED * abs(value - base):
        scores, _ = integrated(scorer, index, value - base, MORE)
    held = tuple((word, float(sum(scores[place] for place in word.places))) for word in words(encoded))
    return Weighed(held, value - base, float(scores.sum()) - (value - base))


def place_of(encoded: Encoded, doubt: Doubt, at: int) -> int:
    """The token of the last part that holds this character, or the nearest one."""
    part = "text" if doubt.pair is None else "pair"
    known = [(place, token) for place, token in enumerate(encoded.tokens) if token.part == part and token.begin is not None]
    return min(known, key=lambda pair: distance(pair[1].begin or 0, pair[1].end or 0, at))[0] if known else 0


def distance(begin: int, end: int, at: int) -> int:
    """How far a character is from a token."""
    return max(begin - at, at - end + 1, 0)
