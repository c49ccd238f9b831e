"""Encoder-decoders on packed rows: all sources end to end in one row, all texts that are written in another, no padding.

Every source sees itself alone, every written token those before it in its own text and its own source, so states are those
of one example at a time. The layers' own parts do the work; only the order of the places is ours. Shapes: N features,
T tokens of all sources, A written tokens of all, W width, H heads, D width of one, L longest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional

from headstart.models.packing.attention import Packing, crossing, packed_attention, packing
from headstart.models.packing.dropout import cheap_dropout

if TYPE_CHECKING:
    from headstart.contract import Ints


@dataclass(frozen=True)
class Pairs:
    """Sources (T,) and what is written for them (A,), their places in their own texts, and how each may be attended."""

    read: Tensor
    written: Tensor
    read_places: Tensor
    written_places: Tensor
    source: Packing
    target: Packing
    across: Packing


def pairs(read: Ints, written: Ints, lengths: Ints, asked: Ints, device: torch.device) -> Pairs:
    """The rows of a batch: token ids, and how many each feature has of either."""
    source, target = segments(lengths), segments(asked)
    read_places, written_places = (torch.cat([torch.arange(int(size)) for size in sizes]).to(device) for sizes in (lengths, asked))
    return Pairs(torch.from_numpy(read).to(device), torch.from_numpy(written).to(device), read_places, written_places,
                 packing(source, device), packing(target, device), crossing(source, target, device))


def segments(sizes: Ints) -> Ints:
    """Row, beginning and end of texts that stand end to end, (N, 3)."""
    import numpy as np

    ends = np.cumsum(sizes)
    return np.stack([np.zeros_like(ends), ends - sizes, ends], axis=1)


def exact(module: Any) -> bool:
    """Whether a module goes through its layers plainly: none left out by chance, none worked out again for its gradient."""
    drops = [getattr(module.config, name, 0.0) for name in ("encoder_layerdrop", "decoder_layerdrop")]
    return not any(drops) and not any(getattr(part, "gradient_checkpointing", False) for part in module.modules())


def attended(part: Any, names: tuple[str, str, str, str], asking: Tensor, asked: Tensor, pack: Packing, *, heads: int, dropout: float,
             scaling: float, causal: bool = False, bias: Tensor | None = None) -> Tensor:
    """An attention's linear layers around ours: (A, W), (T, W) -> (A, W)."""
    query, key, value, out = (getattr(part, name) for name in names)
    rows = [held.view(1, len(held), heads, -1).transpose(1, 2) for held in (query(asking), key(asked), value(asked))]
    mixed = packed_attention(rows[0], rows[1], rows[2], pack, dropout=dropout if part.training else 0.0, scaling=scaling,
                             causal=causal, bias=bias)
    result: Tensor = out(mixed.reshape(len(asking), -1))
    return result


def t5(module: Any, given: Pairs) -> Tensor:
    """T5's states of written tokens, (A, W): norms before every part, distances in buckets from the first layer's table."""
    source = t5_stack(module.encoder, given.read, given.source)
    return t5_stack(module.decoder, given.written, given.target, source, given.across)


def t5_stack(stack: Any, ids: Tensor, own: Packing, source: Tensor | None = None, across: Packing | None = None) -> Tensor:
    """One of its two stacks: token ids to states."""
    states = stack.dropout(stack.embed_tokens(ids))
    bias = stack.block[0].layer[0].SelfAttention.compute_bias(own.longest, own.longest)[0]  # (H, L, L)
    for block in stack.block:
        first = block.layer[0]
        normed = first.layer_norm(states)
        states = states + first.dropout(t5_attended(first.SelfAttention, normed, normed, own, bias, causal=source is not None))
        if source is not None:
            assert across is not None
            cross = block.layer[1]
            states = states + cross.dropout(t5_attended(cross.EncDecAttention, cross.layer_norm(states), source, across, None))
        states = block.layer[-1](states)
    result: Tensor = stack.dropout(stack.final_layer_norm(states))
    return result


def t5_attended(part: Any, asking: Tensor, asked: Tensor, pack: Packing, bias: Tensor | None, *, causal: bool = False) -> Tensor:
    """T5 does not scale its scores."""
    return attended(part, ("q", "k", "v", "o"), asking, asked, pack, heads=part.n_heads, dropout=part.dropout, scaling=1.0,
                    causal=causal, bias=bias)


def bart(module: Any, given: Pairs) -> Tensor:
    """The same of BART and its kin (mBART, Pegasus, Marian), which number their places."""
    source = bart_stack(module.model.encoder, given.read, given.read_places, given.source)
    return bart_stack(module.model.decoder, given.written, given.written_places, given.target, source, given.across)


def bart_stack(stack: Any, ids: Tensor, places: Tensor, own: Packing, source: Tensor | None = None,
               across: Packing | None = None) -> Tensor:
    """One of its two stacks: norms after every part, or before where one stands at the end (mBART, Pegasus)."""
    table, before = stack.embed_positions, hasattr(stack, "layer_norm")
    scale = getattr(stack, "embed_scale", 1.0)  # Pegasus and Marian; BART's embeddings scale by themselves
    states = stack.embed_tokens(ids) * scale + functional.embedding(places + getattr(table, "offset", 0), table.weight)
    states = stack.layernorm_embedding(states) if hasattr(stack, "layernorm_embedding") else states
    states = dropped(stack, states)

    def part(layer: Any, states: Tensor, norm: Any, work: Any) -> Tensor:
        done = dropped(layer, work(norm(states) if before else states))
        summed: Tensor = states + done
        return summed if before else norm(summed)

    for layer in stack.layers:
        states = part(layer, states, layer.self_attn_layer_norm, lambda held, layer=layer: bart_attended(
            layer.self_attn, held, held, own, causal=source is not None))
        if source is not None:
            assert across is not None
            states = part(layer, states, layer.encoder_attn_layer_norm, lambda held, layer=layer: bart_attended(
                layer.encoder_attn, held, source, across))
        states = part(layer, states, layer.final_layer_norm, lambda held, layer=layer: layer.fc2(
            cheap_dropout(layer.activation_fn(layer.fc1(held)), layer.activation_dropout if layer.training else 0.0)))
    return stack.layer_norm(states) if before else states


def bart_attended(part: Any, asking: Tensor, asked: Tensor, pack: Packing, *, causal: bool = False) -> Tensor:
    """Scores are scaled by the root of a head's width."""
    return attended(part, ("q_proj", "k_proj", "v_proj", "out_proj"), asking, asked, pack, heads=part.num_heads, dropout=part.dropout,
                    scaling=part.scaling, causal=causal)


def dropped(part: Any, states: Tensor) -> Tensor:
    """The states with the part's own dropout, in training."""
    return cheap_dropout(states, part.dropout if part.training else 0.0)
