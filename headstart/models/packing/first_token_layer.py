"""The last layer works on the first token of each text alone, where the head reads no other.

The states of all other tokens would be computed and thrown away: 5/6 of the last layer, 14 % of the products of a model
of six layers. Keys and values still come from every token, so answers and gradients stay the same. Only packed
batches do this; what is inspected or pooled goes the whole way. Shapes: T tokens, N segments, W width.
"""

from __future__ import annotations

import functools
from typing import Any

from torch import Tensor

from headstart.models.packing.attention import Packing, packed_attention


def bert(layer: Any) -> None:
    """For the layer of BERT, RoBERTa, XLM-RoBERTa and ELECTRA."""
    attention = layer.attention
    attention.forward = functools.partial(bert_attention, attention)


def bert_attention(attention: Any, states: Tensor, *others: Any, **more: Any) -> Any:
    """The attention block (1, T, W) -> (1, N, W): what follows it in the layer takes any number of rows."""
    pack: Packing | None = more.get("packing")
    if pack is None or not pack.first_only:
        return type(attention).forward(attention, states, *others, **more)
    inner = attention.self
    asked = states.index_select(1, pack.firsts)
    mixed = attend(pack, inner.query(asked), inner.key(states), inner.value(states), width=inner.attention_head_size,
                   dropout=inner.dropout.p if inner.training else 0.0, scaling=inner.scaling)
    return attention.output(mixed, asked), None


def distilbert(layer: Any) -> None:
    """For the layer of DistilBERT."""
    layer.forward = functools.partial(distilbert_layer, layer)


def distilbert_layer(layer: Any, states: Tensor, *others: Any, **more: Any) -> Any:
    """The whole layer (1, T, W) -> (1, N, W)."""
    pack: Packing | None = more.get("packing")
    if pack is None or not pack.first_only:
        return type(layer).forward(layer, states, *others, **more)
    inner = layer.attention
    asked = states.index_select(1, pack.firsts)
    mixed = attend(pack, inner.q_lin(asked), inner.k_lin(states), inner.v_lin(states), width=inner.attention_head_size,
                   dropout=inner.dropout.p if inner.training else 0.0, scaling=inner.scaling)
    above = layer.sa_layer_norm(inner.out_lin(mixed) + asked)
    return layer.output_layer_norm(layer.ffn(above) + above)


def attend(pack: Packing, query: Tensor, key: Tensor, value: Tensor, *, width: int, dropout: float,
           scaling: float) -> Tensor:
    """Attention of the first tokens to all of their segment: (1, N, W), (1, T, W), (1, T, W) -> (1, N, W)."""
    query, key, value = (states.view(*states.shape[:2], -1, width).transpose(1, 2) for states in (query, key, value))
    mixed = packed_attention(query, key, value, pack, dropout=dropout, scaling=scaling, firsts=True)
    return mixed.reshape(1, len(pack.firsts), -1)
