"""Attention among many short segments on a CPU, multiplied out, with its own gradient.

torch's fused attention takes three times as long here: 32 texts of 17 tokens are 384 small products for each of its
calls, and it draws no dropout. Shapes as in attention.py; X = n·H products of a group, Q queries of a segment.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from headstart.models.packing.dropout import multiplier, scale_of

KEPT = 2**18  # weights of a group that are kept for the gradient; more are worked out again (SmolLM, 8 blocks of 256: 19 MB a layer)

if TYPE_CHECKING:
    from headstart.models.packing.attention import Packing


class SmallAttention(torch.autograd.Function):
    """Rows q, k, v (T·H, D) of a packed batch to mixed rows (T·H, D): softmax(scaling · q kᵀ + distances) v inside segments.

    With `firsts`, q holds the segments' first tokens alone, (N·H, D), and so does what comes out.
    """

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, distances: Tensor | None, pack: Packing, heads: int,
                dropout: float, scaling: float, window: int | None, causal: bool, firsts: bool) -> Tensor:
        """Scores, softmax, dropout and mixture, group by group; the products are in the dtype that comes in."""
        gather, _ = pack.by_head(heads)
        k, v = key.index_select(0, gather), value.index_select(0, gather)
        gather, scatter = pack.asked_by_head(heads, firsts)
        q = query.index_select(0, gather)
        mixed = torch.empty_like(q)
        kept: list[Tensor] = []
        # Inputs have the dtype of autocast already; without this it would cast in and out again at every product.
        with torch.autocast("cpu", enabled=False):
            biases = pack.biases(window, causal, q.dtype)
            for (one, out, two, three), bias in zip(parts(pack, heads, (q, mixed), (k, v), firsts), biases, strict=True):
                weights = softmax(one, two, bias, distances, heads, scaling)
                kept.append(weights if weights.numel() <= KEPT else weights.new_empty(0))
                if dropout:
                    factor = multiplier(weights.shape, dropout, weights.dtype)
                    kept.append(factor if factor.numel() <= KEPT else factor != 0)  # a byte in the place of four
                    weights = weights * factor
                torch.bmm(weights, three, out=out)
        ctx.save_for_backward(q, k, v, scatter, distances, *kept)
        ctx.pack, ctx.heads, ctx.dropout, ctx.scaling, ctx.firsts, ctx.biases = pack, heads, scale_of(dropout), scaling, firsts, biases
        return mixed.index_select(0, scatter)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upper: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of q, k and v; places without a token take none, so nothing is added up twice."""
        q, k, v, scatter, distances, *kept = ctx.saved_tensors
        to_distances = torch.zeros_like(distances) if ctx.needs_input_grad[3] else None
        laid = torch.zeros_like(q).index_copy_(0, scatter, upper.contiguous())
        all_q, all_k, all_v = (torch.empty_like(states) for states in (q, k, v))
        step = 2 if ctx.dropout else 1
        groups = parts(ctx.pack, ctx.heads, (q, laid, all_q), (k, v, all_k, all_v), ctx.firsts)
        for number, (one, above, to_q, two, three, to_k, to_v) in enumerate(groups):
            weights = kept[number * step]
            if not weights.numel():
                weights = softmax(one, two, ctx.biases[number], distances, ctx.heads, ctx.scaling)
            factor = kept[number * step + 1] if ctx.dropout else None
            if factor is not None and factor.dtype == torch.bool:
                factor = factor.to(weights.dtype).mul_(ctx.dropout)
            torch.bmm((weights if factor is None else weights * factor).transpose(1, 2), above, out=to_v)
            to_weights = torch.bmm(above, three.transpose(1, 2))  # (X, Q, L)
            if factor is not None:
                to_weights.mul_(factor)
            to_scores = torch._softmax_backward_data(to_weights, weights, -1, weights.dtype)
            if to_distances is not None:
                queries, keys = to_scores.shape[1:]
                to_distances[:, :queries, :keys] += to_scores.view(-1, ctx.heads, queries, keys).sum(0, dtype=to_distances.dtype)
            to_scores.mul_(ctx.scaling)
            torch.bmm(to_scores, two, out=to_q)
            torch.bmm(to_scores.transpose(1, 2), one, out=to_k)
        tokens = ctx.pack.by_head(ctx.heads)[1]
        return (all_q.index_select(0, scatter), all_k.index_select(0, tokens), all_v.index_select(0, tokens),
                to_distances, None, None, None, None, None, None, None)


def softmax(query: Tensor, key: Tensor, bias: Tensor | None, distances: Tensor | None, heads: int, scaling: float) -> Tensor:
    """What each query takes of each key: (X, Q, D), (X, L, D), (n or 1, 1, 1 or L, L), (H, Q or more, L or more) -> (X, Q, L)."""
    scores = torch.bmm(query, key.transpose(1, 2)).mul_(scaling)
    by_head = scores.view(-1, heads, *scores.shape[1:])
    if distances is not None:
        by_head.add_(distances[:, :scores.shape[1], :scores.shape[2]])
    if bias is not None:
        by_head.add_(bias)
    return torch.softmax(scores, dim=-1)


def parts(pack: Packing, heads: int, queries: Sequence[Tensor], keys: Sequence[Tensor],
          firsts: bool) -> list[tuple[Tensor, ...]]:
    """Views of what belongs to each group, (X, Q, D) of every tensor of queries and (X, L, D) of every one of keys."""
    found, asked, begin = [], 0, 0
    for group in pack.groups:
        count = group.count * heads
        query = group.places(firsts)
        found.append(tuple([held[asked:asked + count * query].view(count, query, -1) for held in queries]
                           + [held[begin:begin + count * group.longest].view(count, group.longest, -1)
                              for held in keys]))
        asked += count * query
        begin += count * group.longest
    return found
