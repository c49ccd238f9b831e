"""A packed row: where each text stands in it, and the groups of similar length that attention pads.

Shapes: T tokens of the packed row, N segments, n segments of a group, L longest of the group, P padded positions of all
groups, H heads.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from headstart.contract import Ints

MAX_GROUPS = 3  # more groups than this cost more in calls than they save in padding
MAX_BOUNDARIES = 16  # candidates for the boundaries between groups
CALL_COST = 6000  # cost of one more group, in attention scores (measured on 2 cores with MiniLM)


@dataclass(frozen=True)
class Group:
    """Segments of similar length, padded to the longest; `is_token` (n, L) is False for padding, None where there is
    none.
    """

    count: int
    max_length: int
    is_token: Tensor | None
    cross_query_length: int | None = None  # of cross-attention: the most queries of a segment

    def query_length(self, first_tokens_only: bool) -> int:
        """The queries of each segment."""
        return (1 if first_tokens_only else self.max_length if self.cross_query_length is None
                else self.cross_query_length)


@dataclass(frozen=True)
class Packing:
    """Indices that split a packed row into padded groups for attention, and join it again."""

    groups: tuple[Group, ...]
    gather: Tensor  # (P,) token at each padded position of all groups; 0 for padding
    scatter: Tensor  # (T,) padded position of each token
    segment_order: Tensor  # (N,) segment of each member of the groups
    first_positions: Tensor  # (N,) first token of each segment
    first_tokens_only: bool  # whether only the states of first tokens are needed
    query_index: tuple[Tensor, Tensor] | None = None  # of cross-attention: `gather` and `scatter` of the queries
    cache: dict[Any, Any] = field(default_factory=dict, repr=False)  # indices and masks that all layers share

    @property
    def max_length(self) -> int:
        """Tokens of the longest segment."""
        return max(group.max_length for group in self.groups)

    @property
    def is_one_text(self) -> bool:
        """Whether the whole row is one text, so that there is nothing to take apart."""
        return self.query_index is None and len(self.segment_order) == 1 and self.groups[0].is_token is None

    def index_by_head(self, heads: int) -> tuple[Tensor, Tensor]:
        """`gather` and `scatter` for rows of one head each: tokens as (T·H), padded positions as (n·H·L) of each group.
        """
        if heads not in self.cache:
            self.cache[heads] = expand_by_head(self.gather, self.scatter,
                                               [(group.count, group.max_length) for group in self.groups], heads)
        index: tuple[Tensor, Tensor] = self.cache[heads]
        return index

    def query_index_by_head(self, heads: int, first_tokens_only: bool) -> tuple[Tensor, Tensor]:
        """The same for queries: those of the keys' row, its first tokens alone, or those of another row."""
        if first_tokens_only:
            return self.first_index_by_head(heads)
        if self.query_index is None:
            return self.index_by_head(heads)
        if ("query", heads) not in self.cache:
            sizes = [(group.count, group.query_length(False)) for group in self.groups]
            self.cache["query", heads] = expand_by_head(*self.query_index, sizes, heads)
        index: tuple[Tensor, Tensor] = self.cache["query", heads]
        return index

    def first_index_by_head(self, heads: int) -> tuple[Tensor, Tensor]:
        """The same for rows of the first token of each segment, (N·H), instead of all."""
        if ("first", heads) not in self.cache:
            head = torch.arange(heads, device=self.segment_order.device)
            gather = (self.segment_order[:, None] * heads + head).reshape(-1)
            self.cache["first", heads] = gather, torch.argsort(gather)
        index: tuple[Tensor, Tensor] = self.cache["first", heads]
        return index

    def masks(self, window: int | None, causal: bool = False) -> list[Tensor | None]:
        """For each group the mask of visible tokens, (n or 1, 1, 1 or L, L) True where visible; None when all are."""
        if ("mask", window, causal) not in self.cache:
            self.cache["mask", window, causal] = [group_mask(group, window, causal, self.gather.device)
                                                  for group in self.groups]
        masks: list[Tensor | None] = self.cache["mask", window, causal]
        return masks

    def mask_biases(self, window: int | None, causal: bool, dtype: torch.dtype) -> list[Tensor | None]:
        """The same to be added to scores: 0 where visible, the lowest number elsewhere."""
        key = ("bias", window, causal, dtype)
        if key not in self.cache:
            lowest = torch.finfo(dtype).min
            self.cache[key] = [None if visible is None
                               else torch.zeros(visible.shape, dtype=dtype).masked_fill_(~visible, lowest)
                               for visible in self.masks(window, causal)]
        biases: list[Tensor | None] = self.cache[key]
        return biases


def expand_by_head(gather: Tensor, scatter: Tensor, sizes: list[tuple[int, int]], heads: int) -> tuple[Tensor, Tensor]:
    """`gather` and `scatter` of groups of (segments, length of each) for rows of one head each."""
    head = torch.arange(heads, device=gather.device)
    gathers, positions, start = [], [], 0
    for count, length in sizes:
        size = count * length
        tokens = gather[start:start + size].view(count, 1, length)
        gathers.append((tokens * heads + head[None, :, None]).reshape(-1))
        row_indices = torch.arange(size * heads, device=gather.device) + start * heads
        positions.append(row_indices.view(count, heads, length).transpose(1, 2).reshape(size, heads))
        start += size
    return torch.cat(gathers), torch.cat(positions).index_select(0, scatter).reshape(-1)


def group_mask(group: Group, window: int | None, causal: bool, device: torch.device) -> Tensor | None:
    """The mask of visible tokens of a group: no padding; with `window` those at smaller distance; with `causal` no
    later ones.
    """
    visible = None if group.is_token is None else group.is_token[:, None, None, :]
    if window is None or group.max_length <= window:
        if not causal:
            return visible
        window = group.max_length
    positions = torch.arange(group.max_length, device=device)
    distance: Tensor = (positions[:, None] - positions[None, :])[None, None]  # (1, 1, L, L)
    if causal:  # padding stands after every token of its row, so none sees it
        return (distance >= 0) & (distance < window)
    in_window = distance.abs() < window
    return in_window if visible is None else in_window & visible


def pack_segments(segments: Ints, device: torch.device, *, first_tokens_only: bool = False) -> Packing:
    """Indices for the segments (N, 3) of one packed row; computed once a batch, used by every layer.

    With `first_tokens_only` the last layer gives the states of the segments' first tokens alone, (1, N, W).
    """
    lengths = (segments[:, 2] - segments[:, 1]).tolist()
    if len(lengths) == 1:
        tokens, first = torch.arange(lengths[0], device=device), torch.zeros(1, dtype=torch.long, device=device)
        return Packing((Group(1, lengths[0], None),), tokens, tokens, first, first, first_tokens_only)
    segment_order = sorted(range(len(lengths)), key=lengths.__getitem__)
    segment_groups = group_by_length(segment_order, lengths)
    gather, scatter, masks = padded_index(segment_groups, segments)
    groups = tuple(Group(len(members), lengths[members[-1]], None if bool(is_token.all()) else is_token.to(device))
                   for members, is_token in zip(segment_groups, masks, strict=True))
    return Packing(groups, gather.to(device), scatter.to(device), torch.tensor(segment_order).to(device),
                   torch.from_numpy(segments[:, 1].copy()).to(device), first_tokens_only)


def pack_cross_attention(keys: Ints, queries: Ints, device: torch.device) -> Packing:
    """The same for cross-attention: segments of one row, `queries` (N, 3), attend to those of another, `keys` (N, 3).
    """
    lengths, query_lengths = (keys[:, 2] - keys[:, 1]).tolist(), (queries[:, 2] - queries[:, 1]).tolist()
    segment_order = sorted(range(len(lengths)), key=lengths.__getitem__)
    segment_groups = group_by_length(segment_order, lengths)
    gather, scatter, masks = padded_index(segment_groups, keys)
    groups = tuple(Group(len(members), lengths[members[-1]], None if bool(is_token.all()) else is_token.to(device),
                         max(query_lengths[member] for member in members))
                   for members, is_token in zip(segment_groups, masks, strict=True))
    query_index = padded_index(segment_groups, queries)
    return Packing(groups, gather.to(device), scatter.to(device), torch.tensor(segment_order).to(device),
                   torch.from_numpy(keys[:, 1].copy()).to(device), False,
                   (query_index[0].to(device), query_index[1].to(device)))


def padded_index(segment_groups: list[list[int]], segments: Ints) -> tuple[Tensor, Tensor, list[Tensor]]:
    """The token at each padded position of the groups, the padded position of each token, and each group's `is_token`
    (n, L).
    """
    scatter = torch.zeros(int(segments[:, 2].max()), dtype=torch.long)
    gathers, masks, base = [], [], 0
    for members in segment_groups:
        starts, ends = (torch.from_numpy(segments[members, column]) for column in (1, 2))
        max_length = int((ends - starts).max())
        offsets = torch.arange(max_length)
        is_token = offsets[None, :] < (ends - starts)[:, None]  # (n, L)
        gather = torch.where(is_token, starts[:, None] + offsets[None, :], 0)
        positions = torch.arange(len(members) * max_length).view(len(members), max_length) + base
        scatter[gather[is_token]] = positions[is_token]
        base += len(members) * max_length
        gathers.append(gather.view(-1))
        masks.append(is_token)
    return torch.cat(gathers), scatter, masks


def group_by_length(segment_order: list[int], lengths: list[int]) -> list[list[int]]:
    """Segments sorted by length, split into at most MAX_GROUPS groups so that little is computed for padding."""
    ends = [end for end in range(1, len(segment_order) + 1)
            if end == len(segment_order) or lengths[segment_order[end]] != lengths[segment_order[end - 1]]]
    step = -(-len(ends) // MAX_BOUNDARIES)
    ends = [0, *ends[(len(ends) - 1) % step::step]]  # always with the last end

    def cost(start: int, end: int) -> int:
        """Attention scores of one group, and the cost of its calls."""
        return (end - start) * lengths[segment_order[end - 1]] ** 2 + CALL_COST

    cheapest = {end: (cost(0, end), [end]) for end in ends[1:]}
    for _ in range(MAX_GROUPS - 1):
        cheapest = {end: min([cheapest[end], *((cheapest[boundary][0] + cost(boundary, end),
                                                [*cheapest[boundary][1], end])
                                               for boundary in ends[1:] if boundary < end)], key=lambda pair: pair[0])
                    for end in ends[1:]}
    boundaries = [0, *cheapest[len(segment_order)][1]]
    return [segment_order[start:end] for start, end in itertools.pairwise(boundaries)]
