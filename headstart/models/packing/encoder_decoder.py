"""Encoder-decoders on packed rows: all sources end to end in one row, all targets in another, no padding.

A source sees itself alone, a target token those before it in its own target and its own source, so states are those of
one example at a time. The layers' own modules compute; only attention is by segment. Shapes: N features, T tokens of
all
sources, A target tokens of all, W width, H heads, D width of one, L longest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional

from headstart.models.loading.device import copy_to
from headstart.models.packing.attention import packed_attention
from headstart.models.packing.dropout import fast_dropout
from headstart.models.packing.packed_row import Packing, pack_cross_attention, pack_segments, segments_of

if TYPE_CHECKING:
    from headstart.contract import Ints


@dataclass(frozen=True)
class PackedPairs:
    """Token ids of sources (T,) and targets (A,), their positions in their own texts, and how each may be attended."""

    source_ids: Tensor
    target_ids: Tensor
    source_positions: Tensor
    target_positions: Tensor
    source_packing: Packing
    target_packing: Packing
    cross_packing: Packing


def pack_pairs(source_ids: Ints, target_ids: Ints, source_lengths: Ints, target_lengths: Ints,
               device: torch.device) -> PackedPairs:
    """The packed rows of a batch from its token ids and each feature's number of source and target tokens."""
    source_segments, target_segments = segments_of(source_lengths), segments_of(target_lengths)
    source_positions, target_positions = (copy_to(torch.cat([torch.arange(int(length)) for length in lengths]), device)
                                          for lengths in (source_lengths, target_lengths))
    return PackedPairs(copy_to(source_ids, device), copy_to(target_ids, device),
                       source_positions, target_positions,
                       pack_segments(source_segments, device), pack_segments(target_segments, device),
                       pack_cross_attention(source_segments, target_segments, device))


def has_plain_layers(module: Any) -> bool:
    """Whether a module runs all its layers once: no LayerDrop, no gradient checkpointing."""
    layer_drops = [getattr(module.config, name, 0.0) for name in ("encoder_layerdrop", "decoder_layerdrop")]
    return not any(layer_drops) and not any(getattr(layer, "gradient_checkpointing", False)
                                            for layer in module.modules())


def run_attention(attention: Any, layer_names: tuple[str, str, str, str], query_states: Tensor, key_states: Tensor,
                  packing: Packing, *,
                  heads: int, dropout: float, scaling: float, causal: bool = False,
                  bias: Tensor | None = None) -> Tensor:
    """Packed attention between an attention module's own linear layers: (A, W), (T, W) -> (A, W)."""
    query_layer, key_layer, value_layer, output_layer = (getattr(attention, name) for name in layer_names)
    projected = (query_layer(query_states), key_layer(key_states), value_layer(key_states))
    query, key, value = (states.view(1, len(states), heads, -1).transpose(1, 2) for states in projected)
    context = packed_attention(query, key, value, packing, dropout=dropout if attention.training else 0.0,
                               scaling=scaling, causal=causal, bias=bias)
    output: Tensor = output_layer(context.reshape(len(query_states), -1))
    return output


def t5(module: Any, pairs: PackedPairs) -> Tensor:
    """T5's states of target tokens, (A, W): pre-norm, relative position bias from the first layer's table."""
    encoder_states = t5_stack(module.encoder, pairs.source_ids, pairs.source_packing)
    return t5_stack(module.decoder, pairs.target_ids, pairs.target_packing, encoder_states, pairs.cross_packing)


def t5_stack(stack: Any, ids: Tensor, packing: Packing, encoder_states: Tensor | None = None,
             cross_packing: Packing | None = None) -> Tensor:
    """T5's encoder or decoder: token ids to states."""
    states = stack.dropout(stack.embed_tokens(ids))
    bias = stack.block[0].layer[0].SelfAttention.compute_bias(packing.max_length, packing.max_length)[0]  # (H, L, L)
    for block in stack.block:
        self_block = block.layer[0]
        normed = self_block.layer_norm(states)
        states = states + self_block.dropout(
            t5_attention(self_block.SelfAttention, normed, normed, packing, bias, causal=encoder_states is not None))
        if encoder_states is not None:
            assert cross_packing is not None
            cross_block = block.layer[1]
            normed = cross_block.layer_norm(states)
            states = states + cross_block.dropout(
                t5_attention(cross_block.EncDecAttention, normed, encoder_states, cross_packing, None))
        states = block.layer[-1](states)
    final_states: Tensor = stack.dropout(stack.final_layer_norm(states))
    return final_states


def t5_attention(attention: Any, query_states: Tensor, key_states: Tensor, packing: Packing, bias: Tensor | None, *,
                 causal: bool = False) -> Tensor:
    """T5 does not scale its scores."""
    return run_attention(attention, ("q", "k", "v", "o"), query_states, key_states, packing, heads=attention.n_heads,
                         dropout=attention.dropout, scaling=1.0, causal=causal, bias=bias)


def bart(module: Any, pairs: PackedPairs) -> Tensor:
    """States of target tokens, (A, W), of BART and its kin (mBART, Pegasus, Marian), which have position embeddings."""
    encoder, decoder = module.model.encoder, module.model.decoder
    encoder_states = bart_stack(encoder, pairs.source_ids, pairs.source_positions, pairs.source_packing)
    return bart_stack(decoder, pairs.target_ids, pairs.target_positions, pairs.target_packing, encoder_states,
                      pairs.cross_packing)


def bart_stack(stack: Any, ids: Tensor, positions: Tensor, packing: Packing, encoder_states: Tensor | None = None,
               cross_packing: Packing | None = None) -> Tensor:
    """BART's encoder or decoder: post-norm, or pre-norm where the stack ends with a norm (mBART, Pegasus)."""
    position_table, pre_norm = stack.embed_positions, hasattr(stack, "layer_norm")
    scale = getattr(stack, "embed_scale", 1.0)  # Pegasus and Marian; BART's embeddings scale by themselves
    position_states = functional.embedding(positions + getattr(position_table, "offset", 0), position_table.weight)
    states = stack.embed_tokens(ids) * scale + position_states
    states = stack.layernorm_embedding(states) if hasattr(stack, "layernorm_embedding") else states
    states = with_dropout(stack, states)

    def run_sublayer(layer: Any, states: Tensor, norm: Any, sublayer: Any) -> Tensor:
        output = with_dropout(layer, sublayer(norm(states) if pre_norm else states))
        summed: Tensor = states + output
        return summed if pre_norm else norm(summed)

    for layer in stack.layers:
        states = run_sublayer(layer, states, layer.self_attn_layer_norm, lambda inputs, layer=layer: bart_attention(
            layer.self_attn, inputs, inputs, packing, causal=encoder_states is not None))
        if encoder_states is not None:
            assert cross_packing is not None
            states = run_sublayer(layer, states, layer.encoder_attn_layer_norm, lambda inputs,
                                  layer=layer: bart_attention(
                layer.encoder_attn, inputs, encoder_states, cross_packing))
        states = run_sublayer(layer, states, layer.final_layer_norm, lambda inputs, layer=layer: layer.fc2(
            fast_dropout(layer.activation_fn(layer.fc1(inputs)), layer.activation_dropout if layer.training else 0.0)))
    return stack.layer_norm(states) if pre_norm else states


def bart_attention(attention: Any, query_states: Tensor, key_states: Tensor, packing: Packing, *,
                   causal: bool = False) -> Tensor:
    """Scores are scaled by the root of a head's width."""
    return run_attention(attention, ("q_proj", "k_proj", "v_proj", "out_proj"), query_states, key_states, packing,
                         heads=attention.num_heads, dropout=attention.dropout, scaling=attention.scaling, causal=causal)


def with_dropout(layer: Any, states: Tensor) -> Tensor:
    """The states with the layer's own dropout, in training."""
    return fast_dropout(states, layer.dropout if layer.training else 0.0)
