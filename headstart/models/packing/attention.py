"""Attention over packed rows: every example sees itself alone, and nothing is computed for padding outside attention.

Shapes: T tokens of the packed row, N segments, n segments of a group, L longest of the group, H heads, D width of one.

A packed row holds all examples of a batch one after the other. Linear layers, norms and activations run over the T
tokens; only inside attention are segments padded, (n, H, L, D), in groups of similar length.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from headstart.models.packing import gpu_attention
from headstart.models.packing.gpu_attention import repeated_for
from headstart.models.packing.packed_row import Packing
from headstart.models.packing.segment_attention import SegmentAttention, split_groups

IMPLEMENTATION = "headstart"  # name of the attention function in the registry of transformers
# Segments up to this length use SegmentAttention on a CPU; torch's own is faster beyond.
MAX_SMALL_INFERENCE = {torch.float32: 64, torch.bfloat16: 128}
MAX_SMALL_TRAINING = 256  # the same with gradients: torch's own is slow at them


def packed_attention(query: Tensor, key: Tensor, value: Tensor, packing: Packing, *, dropout: float, scaling: float,
                     window: int | None = None, causal: bool = False, first_tokens_only: bool = False,
                     bias: Tensor | None = None) -> Tensor:
    """Attention inside each segment of a packed row: q, k, v (1, H, T, D) -> (1, T, H, D).

    Keys and values may have fewer heads, each for several of the queries.
    With `window`, a token sees those at a smaller distance (ModernBERT's local layers); with `causal`, none after it
    (decoders). With `first_tokens_only`, the queries are the first tokens of the segments alone:
    (1, H, N, D) -> (1, N, H, D). `bias` (H, L, L) is added to the scores of each segment (T5's position bias).
    """
    assert not (causal and (first_tokens_only or packing.query_segments is not None)), \
        "the first token of a causal row sees itself alone"
    _, heads, query_count, width = query.shape
    needs_gradient = torch.is_grad_enabled() and any(states.requires_grad for states in (query, key, value))
    if packing.is_one_text and not (needs_gradient or dropout or (first_tokens_only and window)):
        return one_text_attention(query, key, value, packing, scaling, window, causal, bias)
    if gpu_attention.can_attend(query, window=window, causal=causal, bias=bias):
        return gpu_attention.attend(query, key, value, packing, dropout=dropout, scaling=scaling, window=window,
                                    causal=causal)
    key, value = repeated_for(query, key), repeated_for(query, value)
    rows_of_token = spacing(key)
    if rows_of_token > heads and (first_tokens_only or spacing(query) == rows_of_token):
        packing = packing.with_spacing(heads, rows_of_token)
    else:
        rows_of_token = heads
    flat_states = [rows_by_head(states, rows_of_token) for states in (query, key, value)]
    max_small = MAX_SMALL_TRAINING if needs_gradient else MAX_SMALL_INFERENCE.get(query.dtype, 64)
    if query.device.type == "cpu" and (dropout or packing.max_length <= max_small):
        segment_attention: Any = SegmentAttention.apply
        context: Tensor = segment_attention(*flat_states, bias, packing, heads, dropout, scaling, window, causal,
                                            first_tokens_only)
        return context.view(1, query_count, heads, width)
    gather, _ = packing.index_by_head(heads)
    gather_queries, scatter_queries = packing.query_index_by_head(heads, first_tokens_only)
    queries, keys, values = (states.index_select(0, index)
                             for states, index in zip(flat_states, (gather_queries, gather, gather), strict=True))
    outputs = []
    is_plain_causal = causal and window is None and bias is None  # torch has faster kernels for this mask
    masks = [None] * len(packing.groups) if is_plain_causal else packing.masks(window, causal)
    for (q, k, v), visible in zip(split_groups(packing, heads, (queries,), (keys, values), first_tokens_only), masks,
                                  strict=True):
        q, k, v = (states.view(-1, heads, *states.shape[1:]) for states in (q, k, v))
        output = torch.nn.functional.scaled_dot_product_attention(
            q, k, v, attn_mask=group_attention_mask(bias, visible, q, k), dropout_p=dropout, is_causal=is_plain_causal,
            scale=scaling)
        outputs.append(output.reshape(-1, width))
    return torch.cat(outputs).index_select(0, scatter_queries).view(1, query_count, heads, width)


def spacing(states: Tensor) -> int:
    """How many rows of one head's width lie from a token to the next, (1, H, T, D): H, or more where keys and values
    are parts of one product; 0 where they lie in another way.
    """
    count, width = states.shape[2:]
    is_regular = states.stride(3) == 1 and states.stride(1) == width and states.stride(2) % width == 0
    return states.stride(2) // width if is_regular and count > 1 and not states.requires_grad else 0


def rows_by_head(states: Tensor, rows_of_token: int) -> Tensor:
    """States (1, H, T, D) as rows of one head's width, where they lie if they are so many rows from token to token."""
    _, heads, count, width = states.shape
    if rows_of_token > heads and spacing(states) == rows_of_token:
        return states.as_strided(((count - 1) * rows_of_token + heads, width), (width, 1))
    return states.transpose(1, 2).reshape(-1, width)


def one_text_attention(query: Tensor, key: Tensor, value: Tensor, packing: Packing, scaling: float, window: int | None,
                       causal: bool, bias: Tensor | None) -> Tensor:
    """Attention in a row of one text, where nothing is gathered: a third of the calls for a text that comes alone."""
    is_plain_causal = causal and window is None and bias is None
    visible = None if is_plain_causal else packing.masks(window, causal)[0]
    key, value = repeated_for(query, key), repeated_for(query, value)
    output = torch.nn.functional.scaled_dot_product_attention(
        query, key, value, attn_mask=group_attention_mask(bias, visible, query, key), is_causal=is_plain_causal,
        scale=scaling)
    return output.transpose(1, 2)


def group_attention_mask(bias: Tensor | None, visible: Tensor | None, query: Tensor, key: Tensor) -> Tensor | None:
    """A group's mask for torch's own attention: of visible tokens, or a bias with the lowest number where not visible.
    """
    if bias is None:
        return visible
    group_bias = bias[None, :, :query.shape[2], :key.shape[2]].to(query.dtype)
    return group_bias if visible is None else group_bias.masked_fill(~visible, torch.finfo(query.dtype).min)


def forward(module: torch.nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None,
            scaling: float | None = None, dropout: float = 0.0, **kwargs: Any) -> tuple[Tensor, Tensor | None]:
    """The attention function that transformers calls: packed when the batch is, else torch's own with the mask."""
    packing: Packing | None = kwargs.pop("packing", None)
    if packing is not None:
        assert scaling is not None
        query, key = query.to(value.dtype), key.to(value.dtype)  # Llama's rotary embeddings are fp32 under autocast
        return packed_attention(query, key, value, packing, dropout=dropout, scaling=scaling,
                                window=kwargs.get("sliding_window"), causal=getattr(module, "is_causal", False)), None
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    output: tuple[Tensor, Tensor | None] = sdpa_attention_forward(
        module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **kwargs)
    return output


def implementation(packs: bool) -> str:
    """The attention of a family: headstart's, or the library's plain one for those that would never call headstart's.

    They add the mask to the scores by themselves, so it must not be boolean.
    """
    return IMPLEMENTATION if packs else "eager"


def register() -> None:
    """Register the function with transformers, with the mask builder of sdpa.

    Registered for attention alone, transformers would build no mask, and padding would silently be attended.
    """
    from transformers import AttentionInterface
    from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

    AttentionInterface.register(IMPLEMENTATION, forward)
    AttentionMaskInterface.register(IMPLEMENTATION, sdpa_mask)
