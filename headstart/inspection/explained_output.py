"""Outputs that can be explained: one number for each variant of an input, whatever the head.

Shapes: K variants, T tokens of the input, C columns of an output.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from headstart.contract import Batch
    from headstart.models.model import Model

ExplainedOutput = Callable[["Model", "Batch"], "Tensor"]  # the model and a batch of K variants -> (K,)


@dataclass(frozen=True)
class ColumnOutput:
    """The logit of one label."""

    column: int

    def __call__(self, model: Model, batch: Batch) -> Tensor:
        """(K,)."""
        return model.forward(batch)["logits"][:, self.column]


@dataclass(frozen=True)
class TokenOutput:
    """Logits of some tokens, added: (token, column) for each. The start and the end of an answer, or a word's tag."""

    token_columns: tuple[tuple[int, int], ...]

    def __call__(self, model: Model, batch: Batch) -> Tensor:
        """(K,)."""
        logits = model.forward(batch)["logits"]
        table = logits.reshape(len(batch.segments), -1, logits.shape[-1])  # (K, T, C)
        (first_token, first_column), *more_columns = self.token_columns
        return sum((table[:, token, column] for token, column in more_columns), table[:, first_token, first_column])


@dataclass(frozen=True)
class BeamSpanOutput:
    """The start's logit and the end's, given this start, of a head that searches ends for likely starts."""

    start: int
    end: int

    def __call__(self, model: Model, batch: Batch) -> Tensor:
        """(K,)."""
        import torch

        inputs = model.span_head_inputs(batch)
        starts = torch.full((len(inputs.states),), self.start, device=inputs.states.device)
        start_logits: Tensor = inputs.head.start_logits(inputs.states)  # (K, T)
        end_logits: Tensor = inputs.head.end_logits(inputs.states, start_positions=starts)
        return start_logits[:, self.start] + end_logits[:, self.end]


@dataclass(frozen=True)
class TextOutput:
    """log p of the tokens that a feature has as its targets, added: of a continuation, or of a text for a source."""

    def __call__(self, model: Model, batch: Batch) -> Tensor:
        """(K,)."""
        surprisals = model.surprisals(batch)["surprise"]
        return -surprisals.reshape(len(batch.segments), -1).sum(dim=1)
