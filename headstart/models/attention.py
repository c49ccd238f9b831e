"""Attention over packed rows: every example sees itself alone, and no work goes into padding outside attention.

Shapes: T tokens of the packed row, N segments, n segments of a group, L longest of the group, H heads, D width of one.

A packed row holds all examples of a batch one after the other. Linear layers, norms and activations run over the T
real tokens; only inside attention are segments laid side by side, (n, H, L, D), in groups of like length.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from headstart.models.dropout import cheap_dropout

if TYPE_CHECKING:
    from headstart.contract import Ints

NAME = "headstart"  # of the attention function in the registry of transformers
GROUPS = 3  # more groups than this cost more in calls than they save in padding
CUTS = 16  # borders that are tried
CALL = 6000  # what one more group costs, in score cells (measured on 2 cores with MiniLM)


@dataclass(frozen=True)
class Group:
    """Segments of like length: where their tokens stand in the row, and which places are real."""

    gather: Tensor  # (n·L,) token of each place; 0 where there is none
    mask: Tensor | None  # (n, 1, 1, L) True where real; None when all are
    count: int
    longest: int


@dataclass(frozen=True)
class Packing:
    """How to take a packed row apart for attention, and put it together again."""

    groups: tuple[Group, ...]
    scatter: Tensor  # (T,) place of each token in the groups laid end to end


def packing(segments: Ints, device: torch.device) -> Packing:
    """Index arrays for the segments (N, 3) of one packed row; made once a batch, used by every layer."""
    lengths = (segments[:, 2] - segments[:, 1]).tolist()
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    total = sum(lengths)
    scatter = torch.zeros(total, dtype=torch.long)
    groups, base = [], 0
    for members in grouped(order, lengths):
        longest = lengths[members[-1]]
        begins = torch.tensor([int(segments[n, 1]) for n in members])
        sizes = torch.tensor([lengths[n] for n in members])
        steps = torch.arange(longest)
        real = steps[None, :] < sizes[:, None]  # (n, L)
        gather = torch.where(real, begins[:, None] + steps[None, :], 0)
        places = torch.arange(len(members) * longest).view(len(members), longest) + base
        scatter[gather[real]] = places[real]
        base += len(members) * longest
        mask = None if bool(real.all()) else real[:, None, None, :].to(device)
        groups.append(Group(gather.view(-1).to(device), mask, len(members), longest))
    return Packing(tuple(groups), scatter.to(device))


def grouped(order: list[int], lengths: list[int]) -> list[list[int]]:
    """Segments sorted by length, parted into at most GROUPS runs so that few score cells are padding."""
    ends = [end for end in range(1, len(order) + 1)
            if end == len(order) or lengths[order[end]] != lengths[order[end - 1]]]
    step = -(-len(ends) // CUTS)
    ends = [0, *ends[(len(ends) - 1) % step::step]]  # the last end is always kept

    def cost(begin: int, end: int) -> int:
        return (end - begin) * lengths[order[end - 1]] ** 2 + CALL

    best = {end: (cost(0, end), [end]) for end in ends[1:]}
    for _ in range(GROUPS - 1):
        best = {end: min([best[end], *((best[cut][0] + cost(cut, end), [*best[cut][1], end])
                                       for cut in ends[1:] if cut < end)], key=lambda pair: pair[0])
                for end in ends[1:]}
    borders = [0, *best[len(order)][1]]
    return [order[begin:end] for begin, end in zip(borders[:-1], borders[1:], strict=True)]


def attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, dropout: float, scaling: float) -> Tensor:
    """softmax(scaling · q kᵀ) v with masked keys left out: (n, H, L, D) -> (n, H, L, D)."""
    if dropout == 0.0:
        return torch.nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=mask, scale=scaling)
    scores = torch.matmul(query, key.transpose(-1, -2)) * scaling  # (n, H, L, L)
    if mask is not None:
        scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
    weights = torch.softmax(scores, dim=-1)
    return torch.matmul(cheap_dropout(weights, dropout), value)


def packed_attention(module: torch.nn.Module, query: Tensor, key: Tensor, value: Tensor, pack: Packing, *,
                     dropout: float, scaling: float, window: int | None) -> Tensor:
    """Attention inside each segment of a packed row: q, k, v (1, H, T, D) -> (1, T, H, D).

    With `window`, a token sees those fewer than `window` places away (ModernBERT's local layers).
    """
    _, heads, total, width = query.shape
    rows = [states.transpose(1, 2).reshape(total, heads * width) for states in (query, key, value)]
    outputs = []
    for group in pack.groups:
        q, k, v = (states.index_select(0, group.gather).view(group.count, group.longest, heads, width).transpose(1, 2)
                   for states in rows)
        mask = group.mask
        if window is not None and group.longest > window:
            steps = torch.arange(group.longest, device=q.device)
            near = (steps[:, None] - steps[None, :]).abs() < window  # (L, L)
            mask = near[None, None] if mask is None else mask & near
        mixed = attend(q, k, v, mask, dropout, scaling)  # (n, H, L, D)
        outputs.append(mixed.transpose(1, 2).reshape(group.count * group.longest, heads * width))
    laid = outputs[0] if len(outputs) == 1 else torch.cat(outputs)
    return laid.index_select(0, pack.scatter).view(1, total, heads, width)


def forward(module: torch.nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None,
            scaling: float | None = None, dropout: float = 0.0, **more: Any) -> tuple[Tensor, Tensor | None]:
    """The attention function that transformers calls: packed when the batch is, else torch's own with the mask."""
    pack: Packing | None = more.pop("packing", None)
    if pack is not None:
        assert scaling is not None
        return packed_attention(module, query, key, value, pack, dropout=dropout, scaling=scaling,
                                window=more.get("sliding_window")), None
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    result: tuple[Tensor, Tensor | None] = sdpa_attention_forward(
        module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **more)
    return result


def register() -> None:
    """Make the function known to transformers, with the mask builder of sdpa.

    Registered for attention alone, transformers would build no mask, and padding would be attended without a word.
    """
    from transformers import AttentionInterface
    from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

    AttentionInterface.register(NAME, forward)
    AttentionMaskInterface.register(NAME, sdpa_mask)
