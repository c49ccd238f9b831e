"""A packed row: where each text stands in it, and the groups of similar length that attention pads.

Shapes: T tokens of the packed row, N segments, n segments of a group, L longest of the group, P padded positions of all
groups, H heads.
"""

from __future__ import annotations

import dataclasses
import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from headstart.models.loading.device import copy_to

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
class PaddedGroups:
    """Indices that split a packed row into padded groups for attention, and join it again."""

    groups: tuple[Group, ...]
    gather: Tensor  # (P,) token at each padded position of all groups; 0 for padding
    scatter: Tensor  # (T,) padded position of each token
    segment_order: Tensor  # (N,) segment of each member of the groups
    query_index: tuple[Tensor, Tensor] | None = None  # of cross-attention: `gather` and `scatter` of the queries


@dataclass(frozen=True)
class Packing:
    """The segments of a packed row, and what attention over them needs: each made when it is first asked for.

    In cross-attention the queries are those of another row.
    """

    segments: Ints  # (N, 3): row, start and end of each
    device: torch.device
    first_tokens_only: bool = False  # whether only the states of first tokens are needed
    query_segments: Ints | None = None  # (N, 3), of cross-attention
    cache: dict[Any, Any] = field(default_factory=dict, repr=False)  # indices and masks that all layers share

    @property
    def padded(self) -> PaddedGroups:
        """The groups of similar length, and their indices."""
        if "padded" not in self.cache:
            self.cache["padded"] = padded_groups(self.segments, self.query_segments, self.device)
        padded: PaddedGroups = self.cache["padded"]
        return padded

    @property
    def groups(self) -> tuple[Group, ...]:
        """Segments of similar length."""
        return self.padded.groups

    @property
    def first_positions(self) -> Tensor:
        """The first token of each segment, (N,)."""
        if "first positions" not in self.cache:
            self.cache["first positions"] = copy_to(self.segments[:, 1].copy(), self.device)
        first_positions: Tensor = self.cache["first positions"]
        return first_positions

    @property
    def max_length(self) -> int:
        """Tokens of the longest segment."""
        return int((self.segments[:, 2] - self.segments[:, 1]).max())

    @property
    def token_count(self) -> int:
        """Tokens of the row."""
        return int(self.segments[-1, 2])

    @property
    def is_one_text(self) -> bool:
        """Whether the whole row is one text, so that there is nothing to take apart."""
        return self.query_segments is None and len(self.segments) == 1

    def borders(self, *, of_queries: bool) -> tuple[Tensor, int]:
        """Where segments begin and the last ends, (N + 1,) in int32, and the tokens of the longest: of the keys' row,
        or of the queries', which may be the first tokens alone.
        """
        key = ("borders", of_queries, self.first_tokens_only)
        if key not in self.cache:
            segments = self.segments if self.query_segments is None or not of_queries else self.query_segments
            lengths = segments[:, 2] - segments[:, 1]
            if of_queries and self.first_tokens_only:
                lengths = np.ones_like(lengths)
            ends = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
            self.cache[key] = copy_to(ends, self.device), int(lengths.max())
        borders: tuple[Tensor, int] = self.cache[key]
        return borders

    def index_by_head(self, heads: int) -> tuple[Tensor, Tensor]:
        """`gather` and `scatter` for rows of one head each: tokens as (T·H), padded positions as (n·H·L) of each group.
        """
        if heads not in self.cache:
            self.cache[heads] = expand_by_head(self.padded.gather, self.padded.scatter,
                                               [(group.count, group.max_length) for group in self.groups], heads)
        index: tuple[Tensor, Tensor] = self.cache[heads]
        return index

    def with_spacing(self, heads: int, rows_of_token: int) -> Packing:
        """The same for rows of which a token has more than heads: the others are of something else."""
        key = ("spacing", heads, rows_of_token)
        if key not in self.cache:
            gather, scatter = self.index_by_head(heads)
            spaced = gather + gather.div(heads, rounding_mode="floor") * (rows_of_token - heads)
            self.cache[key] = dataclasses.replace(self, cache={**self.cache, heads: (spaced, scatter)})
        packing: Packing = self.cache[key]
        return dataclasses.replace(packing, first_tokens_only=self.first_tokens_only)

    def query_index_by_head(self, heads: int, first_tokens_only: bool) -> tuple[Tensor, Tensor]:
        """The same for queries: those of the keys' row, its first tokens alone, or those of another row."""
        if first_tokens_only:
            return self.first_index_by_head(heads)
        if self.padded.query_index is None:
            return self.index_by_head(heads)
        if ("query", heads) not in self.cache:
            sizes = [(group.count, group.query_length(False)) for group in self.groups]
            self.cache["query", heads] = expand_by_head(*self.padded.query_index, sizes, heads)
        index: tuple[Tensor, Tensor] = self.cache["query", heads]
        return index

    def first_index_by_head(self, heads: int) -> tuple[Tensor, Tensor]:
        """The same for rows of the first token of each segment, (N·H), instead of all."""
        if ("first", heads) not in self.cache:
            head = torch.arange(heads, device=self.device)
            gather = (self.padded.segment_order[:, None] * heads + head).reshape(-1)
            self.cache["first", heads] = gather, torch.argsort(gather)
        index: tuple[Tensor, Tensor] = self.cache["first", heads]
        return index

    def masks(self, window: int | None, causal: bool = False) -> list[Tensor | None]:
        """For each group the mask of visible tokens, (n or 1, 1, 1 or L, L) True where visible; None when all are."""
        if ("mask", window, causal) not in self.cache:
            self.cache["mask", window, causal] = [group_mask(group, window, causal, self.device)
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


def segments_of(sizes: Ints) -> Ints:
    """Row, start and end of texts that stand end to end, (N, 3)."""
    ends = np.cumsum(sizes)
    return np.stack([np.zeros_like(ends), ends - sizes, ends], axis=1)


def pack_segments(segments: Ints, device: torch.device, *, first_tokens_only: bool = False) -> Packing:
    """The segments (N, 3) of one packed row; once a batch, used by every layer.

    With `first_tokens_only` the last layer gives the states of the segments' first tokens alone, (1, N, W).
    """
    return Packing(segments, device, first_tokens_only)


def pack_cross_attention(keys: Ints, queries: Ints, device: torch.device) -> Packing:
    """The same for cross-attention: segments of one row, `queries` (N, 3), attend to those of another, `keys` (N, 3).
    """
    return Packing(keys, device, query_segments=queries)


def padded_groups(segments: Ints, query_segments: Ints | None, device: torch.device) -> PaddedGroups:
    """The groups of the segments (N, 3) of a row, with their queries' where those stand in another row."""
    lengths = (segments[:, 2] - segments[:, 1]).tolist()
    if len(lengths) == 1 and query_segments is None:
        tokens = torch.arange(lengths[0], device=device)
        return PaddedGroups((Group(1, lengths[0], None),), tokens, tokens,
                            torch.zeros(1, dtype=torch.long, device=device))
    segment_order = sorted(range(len(lengths)), key=lengths.__getitem__)
    segment_groups = group_by_length(segment_order, lengths)
    gather, scatter, masks = padded_index(segment_groups, segments)
    query_lengths = None if query_segments is None else (query_segments[:, 2] - query_segments[:, 1]).tolist()
    groups = tuple(Group(len(members), lengths[members[-1]],
                         None if bool(is_token.all()) else copy_to(is_token, device),
                         None if query_lengths is None else max(query_lengths[member] for member in members))
                   for members, is_token in zip(segment_groups, masks, strict=True))
    query_index = None
    if query_segments is not None:
        query_gather, query_scatter, _ = padded_index(segment_groups, query_segments)
        query_index = copy_to(query_gather, device), copy_to(query_scatter, device)
    return PaddedGroups(groups, copy_to(gather, device), copy_to(scatter, device),
                        copy_to(torch.tensor(segment_order), device), query_index)


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
