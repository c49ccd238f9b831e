"""Penalties for repetition that look at the new text alone, so that it may repeat a prompt's words.

B texts of a batch, S tokens of prompt and text, V pieces of the vocabulary.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

    from headstart.settings import Generation


class NewTextPenalties:
    """The library's processors against repeated n-grams and tokens, applied from the prompt's end on.

    The library's own count the prompt in: an answer could then quote no three words of the passages that it answers
    from.
    """

    def __init__(self, settings: Generation, prompt_length: int) -> None:
        import transformers

        self.prompt_length = prompt_length
        self.processors: list[Any] = []
        if settings.repetition_penalty != 1.0:
            self.processors.append(transformers.RepetitionPenaltyLogitsProcessor(settings.repetition_penalty))
        if settings.no_repeat_ngram_size:
            self.processors.append(transformers.NoRepeatNGramLogitsProcessor(settings.no_repeat_ngram_size))

    def __call__(self, ids: Tensor, scores: Tensor) -> Tensor:
        """The scores (B, V) after ids (B, S); a row whose tokens would all be forbidden keeps its scores."""
        import torch

        penalized = scores
        for processor in self.processors:
            penalized = processor(ids[:, self.prompt_length:], penalized)
        all_forbidden = torch.isneginf(penalized).all(dim=1, keepdim=True)
        return torch.where(all_forbidden, scores, penalized)


def without_penalties(settings: Generation) -> Generation:
    """The settings for the library, where `NewTextPenalties` does the penalizing."""
    return dataclasses.replace(settings, no_repeat_ngram_size=0, repetition_penalty=1.0)
