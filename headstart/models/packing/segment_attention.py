"""Attention inside many short segments on a CPU by batched products, with its own gradient.

torch's fused attention takes three times as long here: 32 texts of 17 tokens are 384 small products for each of its
calls, and it has no dropout. Shapes as in attention.py; X = n·H products of a group, Q queries of a segment.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from headstart.models.packing.dropout import dropout_factors, keep_scale
from headstart.models.packing.packed_row import Packing

# Attention weights of a group that are saved for the gradient; more are recomputed (SmolLM, 8 blocks of 256: 19 MB a
# layer).
MAX_SAVED_WEIGHTS = 2**18


class SegmentAttention(torch.autograd.Function):
    """Rows q, k, v (T·H, D) of a packed batch to rows (T·H, D): softmax(scaling · q kᵀ + position bias) v inside
    segments.

    With `first_tokens_only`, q has the segments' first tokens alone, (N·H, D), and so has the output.
    """

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, position_bias: Tensor | None, packing: Packing,
                heads: int,
                dropout: float, scaling: float, window: int | None, causal: bool, first_tokens_only: bool) -> Tensor:
        """Scores, softmax, dropout and weighted sums, group by group; products are in the dtype of the inputs."""
        gather, _ = packing.index_by_head(heads)
        k, v = key.index_select(0, gather), value.index_select(0, gather)
        gather, scatter = packing.query_index_by_head(heads, first_tokens_only)
        q = query.index_select(0, gather)
        context = torch.empty_like(q)
        saved: list[Tensor] = []
        # Inputs have the dtype of autocast already; without this it would cast in and out again at every product.
        with torch.autocast("cpu", enabled=False):
            mask_biases = packing.mask_biases(window, causal, q.dtype)
            groups = split_groups(packing, heads, (q, context), (k, v), first_tokens_only)
            for (group_query, group_output, group_key, group_value), mask_bias in zip(groups, mask_biases, strict=True):
                weights = attention_weights(group_query, group_key, mask_bias, position_bias, heads, scaling)
                saved.append(weights if weights.numel() <= MAX_SAVED_WEIGHTS else weights.new_empty(0))
                if dropout:
                    factor = dropout_factors(weights.shape, dropout, weights.dtype)
                    # one byte instead of four
                    saved.append(factor if factor.numel() <= MAX_SAVED_WEIGHTS else factor != 0)
                    weights = weights * factor
                torch.bmm(weights, group_value, out=group_output)
        ctx.save_for_backward(q, k, v, scatter, position_bias, *saved)
        ctx.packing, ctx.heads, ctx.dropout, ctx.scaling = packing, heads, keep_scale(dropout), scaling
        ctx.first_tokens_only, ctx.mask_biases = first_tokens_only, mask_biases
        return context.index_select(0, scatter)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, output_gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of q, k and v; padding gets none, so nothing is added up twice."""
        q, k, v, scatter, position_bias, *saved = ctx.saved_tensors
        position_bias_gradient = torch.zeros_like(position_bias) if ctx.needs_input_grad[3] else None
        grouped_gradient = torch.zeros_like(q).index_copy_(0, scatter, output_gradient.contiguous())
        q_gradient, k_gradient, v_gradient = (torch.empty_like(states) for states in (q, k, v))
        step = 2 if ctx.dropout else 1
        groups = split_groups(ctx.packing, ctx.heads, (q, grouped_gradient, q_gradient), (k, v, k_gradient, v_gradient),
                              ctx.first_tokens_only)
        for index, group_states in enumerate(groups):
            group_query, group_gradient, query_gradient, group_key, group_value, key_gradient, value_gradient = (
                group_states)
            weights = saved[index * step]
            if not weights.numel():
                weights = attention_weights(group_query, group_key, ctx.mask_biases[index], position_bias, ctx.heads,
                                            ctx.scaling)
            factor = saved[index * step + 1] if ctx.dropout else None
            if factor is not None and factor.dtype == torch.bool:
                factor = factor.to(weights.dtype).mul_(ctx.dropout)
            torch.bmm((weights if factor is None else weights * factor).transpose(1, 2), group_gradient,
                      out=value_gradient)
            weight_gradient = torch.bmm(group_gradient, group_value.transpose(1, 2))  # (X, Q, L)
            if factor is not None:
                weight_gradient.mul_(factor)
            score_gradient = torch._softmax_backward_data(weight_gradient, weights, -1, weights.dtype)
            if position_bias_gradient is not None:
                queries, keys = score_gradient.shape[1:]
                score_sums = score_gradient.view(-1, ctx.heads, queries, keys).sum(0,
                                                                                   dtype=position_bias_gradient.dtype)
                position_bias_gradient[:, :queries, :keys] += score_sums
            score_gradient.mul_(ctx.scaling)
            torch.bmm(score_gradient, group_key, out=query_gradient)
            torch.bmm(score_gradient.transpose(1, 2), group_query, out=key_gradient)
        key_scatter = ctx.packing.index_by_head(ctx.heads)[1]
        return (q_gradient.index_select(0, scatter), k_gradient.index_select(0, key_scatter),
                v_gradient.index_select(0, key_scatter),
                position_bias_gradient, None, None, None, None, None, None, None)


def attention_weights(query: Tensor, key: Tensor, mask_bias: Tensor | None, position_bias: Tensor | None, heads: int,
                      scaling: float) -> Tensor:
    """The weight of each key for each query: (X, Q, D), (X, L, D), (n or 1, 1, 1 or L, L), (H, Q or more, L or more) ->
    (X, Q, L).
    """
    scores = torch.bmm(query, key.transpose(1, 2)).mul_(scaling)
    scores_by_head = scores.view(-1, heads, *scores.shape[1:])
    if position_bias is not None:
        scores_by_head.add_(position_bias[:, :scores.shape[1], :scores.shape[2]])
    if mask_bias is not None:
        scores_by_head.add_(mask_bias)
    return torch.softmax(scores, dim=-1)


def split_groups(packing: Packing, heads: int, queries: Sequence[Tensor], keys: Sequence[Tensor],
                 first_tokens_only: bool) -> list[tuple[Tensor, ...]]:
    """Views of each group's rows, (X, Q, D) of every tensor of queries and (X, L, D) of every one of keys."""
    views, query_start, key_start = [], 0, 0
    for group in packing.groups:
        count = group.count * heads
        query_length, key_length = group.query_length(first_tokens_only), group.max_length
        query_end, key_end = query_start + count * query_length, key_start + count * key_length
        views.append(tuple([states[query_start:query_end].view(count, query_length, -1) for states in queries]
                           + [states[key_start:key_end].view(count, key_length, -1) for states in keys]))
        query_start, key_start = query_end, key_end
    return views
