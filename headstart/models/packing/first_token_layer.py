"""A last layer that computes the first token of each text alone, where the head reads no other.

The states of all other tokens would be computed and thrown away: 5/6 of the last layer, 14 % of the products of a model
of six layers. Keys and values still come from every token, so outputs and gradients stay the same. Only packed batches
do this; inspection and mean pooling use the full layer. Shapes: T tokens, N segments, W width.
"""

from __future__ import annotations

import functools
from typing import Any

from torch import Tensor

from headstart.models.packing.attention import packed_attention
from headstart.models.packing.packed_row import Packing


def bert(layer: Any) -> None:
    """For the layer of BERT, RoBERTa, XLM-RoBERTa and ELECTRA."""
    attention = layer.attention
    attention.forward = functools.partial(bert_attention, attention)


def bert_attention(attention: Any, states: Tensor, *args: Any, **kwargs: Any) -> Any:
    """The attention block (1, T, W) -> (1, N, W): the rest of the layer takes any number of rows."""
    packing: Packing | None = kwargs.get("packing")
    if packing is None or not packing.first_tokens_only:
        return type(attention).forward(attention, states, *args, **kwargs)
    self_attention = attention.self
    first_states = states.index_select(1, packing.first_positions)
    context = attend(packing, self_attention.query(first_states), self_attention.key(states),
                     self_attention.value(states),
                     width=self_attention.attention_head_size,
                     dropout=self_attention.dropout.p if self_attention.training else 0.0,
                     scaling=self_attention.scaling)
    return attention.output(context, first_states), None


def distilbert(layer: Any) -> None:
    """For the layer of DistilBERT."""
    layer.forward = functools.partial(distilbert_layer, layer)


def distilbert_layer(layer: Any, states: Tensor, *args: Any, **kwargs: Any) -> Any:
    """The whole layer (1, T, W) -> (1, N, W)."""
    packing: Packing | None = kwargs.get("packing")
    if packing is None or not packing.first_tokens_only:
        return type(layer).forward(layer, states, *args, **kwargs)
    self_attention = layer.attention
    first_states = states.index_select(1, packing.first_positions)
    context = attend(packing, self_attention.q_lin(first_states), self_attention.k_lin(states),
                     self_attention.v_lin(states),
                     width=self_attention.attention_head_size,
                     dropout=self_attention.dropout.p if self_attention.training else 0.0,
                     scaling=self_attention.scaling)
    attention_output = layer.sa_layer_norm(self_attention.out_lin(context) + first_states)
    return layer.output_layer_norm(layer.ffn(attention_output) + attention_output)


def attend(packing: Packing, query: Tensor, key: Tensor, value: Tensor, *, width: int, dropout: float,
           scaling: float) -> Tensor:
    """Attention of the first tokens to all of their segment: (1, N, W), (1, T, W), (1, T, W) -> (1, N, W)."""
    query, key, value = (states.view(*states.shape[:2], -1, width).transpose(1, 2) for states in (query, key, value))
    context = packed_attention(query, key, value, packing, dropout=dropout, scaling=scaling, first_tokens_only=True)
    return context.reshape(1, len(packing.first_positions), -1)
