"""A look inside a model while it reads a text: tokens, hidden states, attentions.

Shapes: N chosen layers (0 the embeddings), M chosen layers from 1 on, H chosen heads, T tokens, W width.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from headstart.errors import Exit, UserError
from headstart.inspection.encode import encode
from headstart.inspection.inspection import Inspection
from headstart.inspection.states import states_and_attentions

if TYPE_CHECKING:
    from headstart.models.model import Model

MAX_ATTENTION_BYTES = 8e9  # all attentions are in memory at once


def inspect(model: Model, text: str, pair: str | None = None, *, layers: Sequence[int] | None = None,
            heads: Sequence[int] | None = None, attentions: bool = True) -> Inspection:
    """Tokens, hidden states and attentions of one text (or pair), exact; all layers and heads unless some are chosen.

    Raises UserError: 65 for a text without characters or longer than the model reads, 2 for a layer or head that is
    not there.
    """
    import numpy as np

    encoded = encode(model, text, pair)
    layer_numbers = checked_numbers(layers, range(model.info.layers + 1), "layer", model.info.reference)
    head_count = heads_per_layer(model)
    head_numbers = checked_numbers(heads, range(1, head_count + 1), "head", model.info.reference)
    token_count = len(encoded.tokens)
    attention_bytes = 4 * model.info.layers * head_count * token_count * token_count
    if attentions and attention_bytes > MAX_ATTENTION_BYTES:
        raise UserError(f"The attentions of {token_count:,} tokens in {model.info.layers} layers of {head_count} heads "
                        f"are {attention_bytes / 1e9:.0f} GB of numbers; that is too much to hold.",
                        fix="Inspect a shorter text, or leave attentions out (--no-attentions).", exit=Exit.DATA)
    states, weights = states_and_attentions(model, encoded.feature, attentions=attentions)
    assert len(states) == model.info.layers + 1, "a hidden state for the embeddings and for each layer"
    hidden_states = np.stack([states[layer].float().cpu().numpy() for layer in layer_numbers])
    head_indices = [head - 1 for head in head_numbers]
    attention_layers = [layer for layer in layer_numbers if layer > 0] if attentions else []
    all_attentions = np.zeros((0, len(head_numbers), token_count, token_count), dtype=np.float32)
    if attention_layers:
        all_attentions = np.stack([weights[layer - 1][head_indices].float().cpu().numpy()
                                   for layer in attention_layers])
    return Inspection(model.info.reference, encoded, layer_numbers, head_numbers, hidden_states, all_attentions)


def heads_per_layer(model: Model) -> int:
    """Attention heads of a layer."""
    config = model.module.config
    return int(getattr(config, "num_attention_heads", None) or config.n_heads)


def checked_numbers(numbers: Sequence[int] | None, valid: range, kind: str, reference: str) -> tuple[int, ...]:
    """The chosen layers or heads, ascending and without repeats; raises UserError for one that is not there."""
    if numbers is None:
        return tuple(valid)
    for number in numbers:
        if number not in valid:
            note = " (0 is the embeddings)" if kind == "layer" else ""
            raise UserError(f"{reference} has {kind}s {valid[0]} to {valid[-1]}{note}, but {kind} {number} was asked "
                            "for.",
                            fix=f"Choose among {valid[0]} to {valid[-1]}.")
    if not numbers:
        raise UserError(f"At least one {kind} is needed, but none was named.",
                        fix=f"Choose among {valid[0]} to {valid[-1]}.")
    return tuple(sorted(set(numbers)))
