"""Rules against repeating that look at what was written alone, so that a prompt's own words may be said again.

B texts side by side, S tokens of prompt and text, V pieces of the vocabulary.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

    from headstart.settings import Generation


class Afresh:
    """The library's rules against n-grams that come twice and against tokens that stand there, from the prompt's end on.

    The library's own count the prompt in: an answer could then quote no three words of the passages it is written from.
    """

    def __init__(self, settings: Generation, width: int) -> None:
        import transformers

        self.width = width
        self.rules: list[Any] = []
        if settings.repetition_penalty != 1.0:
            self.rules.append(transformers.RepetitionPenaltyLogitsProcessor(settings.repetition_penalty))
        if settings.no_repeat_ngram:
            self.rules.append(transformers.NoRepeatNGramLogitsProcessor(settings.no_repeat_ngram))

    def __call__(self, ids: Tensor, scores: Tensor) -> Tensor:
        """The scores (B, V) after ids (B, S); where nothing would be left of what may be drawn, they stay."""
        import torch

        made = scores
        for rule in self.rules:
            made = rule(ids[:, self.width:], made)
        dead = torch.isneginf(made).all(dim=1, keepdim=True)
        return torch.where(dead, scores, made)


def without_rules(settings: Generation) -> Generation:
    """The settings for the library, when `Afresh` holds the rules."""
    return dataclasses.replace(settings, no_repeat_ngram=0, repetition_penalty=1.0)
