"""Attention over packed rows: every example sees itself alone, and no work goes into padding outside attention.

Shapes: T tokens of the packed row, N segments, n segments of a group, L longest of the group, P places of all groups,
H heads, D width of one.

A packed row holds all examples of a batch one after the other. Linear layers, norms and activations run over the T
real tokens; only inside attention are segments laid side by side, (n, H, L, D), in groups of like length.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from headstart.models.packing.segment_attention import SmallAttention, parts

if TYPE_CHECKING:
    from headstart.contract import Ints

NAME = "headstart"  # of the attention function in the registry of transformers
GROUPS = 3  # more groups than this cost more in calls than they save in padding
CUTS = 16  # borders that are tried
CALL = 6000  # what one more group costs, in score cells (measured on 2 cores with MiniLM)
SMALL_ANSWERED = 64  # segments up to this long are multiplied out on a CPU; torch's own is quicker beyond
SMALL_TRAINED = 256  # the same where gradients are wanted: torch's own is slow at them


@dataclass(frozen=True)
class Group:
    """Segments of like length, laid side by side; which of their places are real, (n, L), or None when all are."""

    count: int
    longest: int
    real: Tensor | None
    written: int | None = None  # places of the segments that ask, where those are of another row

    def places(self, firsts: bool) -> int:
        """The queries of each segment."""
        return 1 if firsts else self.longest if self.written is None else self.written


@dataclass(frozen=True)
class Packing:
    """How to take a packed row apart for attention, and put it together again."""

    groups: tuple[Group, ...]
    gather: Tensor  # (P,) token of each place of the groups laid end to end; 0 where there is none
    scatter: Tensor  # (T,) place of each token
    order: Tensor  # (N,) segment of each member of the groups
    firsts: Tensor  # (N,) first token of each segment
    first_only: bool  # whether the states of other tokens are not wanted
    asking: tuple[Tensor, Tensor] | None = None  # `gather` and `scatter` of the segments that ask, where those are of another row
    held: dict[Any, Any] = field(default_factory=dict, repr=False)  # what the first layer worked out for the others

    @property
    def longest(self) -> int:
        """Tokens of the longest segment."""
        return max(group.longest for group in self.groups)

    def by_head(self, heads: int) -> tuple[Tensor, Tensor]:
        """`gather` and `scatter` for rows of one head each: tokens as (T·H), places as (n·H·L) of each group."""
        if heads not in self.held:
            self.held[heads] = laid(self.gather, self.scatter, [(group.count, group.longest) for group in self.groups], heads)
        found: tuple[Tensor, Tensor] = self.held[heads]
        return found

    def asked_by_head(self, heads: int, firsts: bool) -> tuple[Tensor, Tensor]:
        """The same for the rows that ask: as those that are asked, the first token of each segment, or of another row."""
        if firsts:
            return self.firsts_by_head(heads)
        if self.asking is None:
            return self.by_head(heads)
        if ("asking", heads) not in self.held:
            self.held["asking", heads] = laid(*self.asking, [(group.count, group.places(False)) for group in self.groups], heads)
        found: tuple[Tensor, Tensor] = self.held["asking", heads]
        return found

    def firsts_by_head(self, heads: int) -> tuple[Tensor, Tensor]:
        """The same for rows that hold one token of each segment, (N·H), instead of all."""
        if ("first", heads) not in self.held:
            head = torch.arange(heads, device=self.order.device)
            gather = (self.order[:, None] * heads + head).reshape(-1)
            self.held["first", heads] = gather, torch.argsort(gather)
        found: tuple[Tensor, Tensor] = self.held["first", heads]
        return found

    def masks(self, window: int | None, causal: bool = False) -> list[Tensor | None]:
        """For each group what a token may see, (n or 1, 1, 1 or L, L) True where it may; None when all of it."""
        if ("mask", window, causal) not in self.held:
            self.held["mask", window, causal] = [mask(group, window, causal, self.gather.device) for group in self.groups]
        found: list[Tensor | None] = self.held["mask", window, causal]
        return found

    def biases(self, window: int | None, causal: bool, dtype: torch.dtype) -> list[Tensor | None]:
        """The same to be added to scores: 0 where a token may see, the lowest number elsewhere."""
        key = ("bias", window, causal, dtype)
        if key not in self.held:
            lowest = torch.finfo(dtype).min
            self.held[key] = [None if seen is None else torch.zeros(seen.shape, dtype=dtype).masked_fill_(~seen, lowest)
                              for seen in self.masks(window, causal)]
        found: list[Tensor | None] = self.held[key]
        return found


def laid(gather: Tensor, scatter: Tensor, sizes: list[tuple[int, int]], heads: int) -> tuple[Tensor, Tensor]:
    """`gather` and `scatter` of groups of (segments, places of each) for rows of one head each."""
    head = torch.arange(heads, device=gather.device)
    gathers, places, begin = [], [], 0
    for count, longest in sizes:
        size = count * longest
        tokens = gather[begin:begin + size].view(count, 1, longest)
        gathers.append((tokens * heads + head[None, :, None]).reshape(-1))
        numbers = torch.arange(size * heads, device=gather.device) + begin * heads
        places.append(numbers.view(count, heads, longest).transpose(1, 2).reshape(size, heads))
        begin += size
    return torch.cat(gathers), torch.cat(places).index_select(0, scatter).reshape(-1)


def mask(group: Group, window: int | None, causal: bool, device: torch.device) -> Tensor | None:
    """What tokens of a group may see: real ones, with `window` those fewer than `window` places away, not later ones."""
    seen = None if group.real is None else group.real[:, None, None, :]
    if window is None or group.longest <= window:
        if not causal:
            return seen
        window = group.longest
    steps = torch.arange(group.longest, device=device)
    away: Tensor = (steps[:, None] - steps[None, :])[None, None]  # (1, 1, L, L)
    if causal:  # what is no token stands after every token of its row, so none sees it
        return (away >= 0) & (away < window)
    near = away.abs() < window
    return near if seen is None else near & seen


def packing(segments: Ints, device: torch.device, *, first_only: bool = False) -> Packing:
    """Index arrays for the segments (N, 3) of one packed row; made once a batch, used by every layer.

    With `first_only` the last layer gives the states of the segments' first tokens alone, (1, N, W).
    """
    lengths = (segments[:, 2] - segments[:, 1]).tolist()
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    runs = grouped(order, lengths)
    gather, scatter, masks = side_by_side(runs, segments)
    groups = tuple(Group(len(members), lengths[members[-1]], None if bool(real.all()) else real.to(device))
                   for members, real in zip(runs, masks, strict=True))
    return Packing(groups, gather.to(device), scatter.to(device), torch.tensor(order).to(device),
                   torch.from_numpy(segments[:, 1].copy()).to(device), first_only)


def crossing(read: Ints, written: Ints, device: torch.device) -> Packing:
    """The same where segments of one row, `written` (N, 3), ask those of another, `read` (N, 3), each its own."""
    lengths, asked = (read[:, 2] - read[:, 1]).tolist(), (written[:, 2] - written[:, 1]).tolist()
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    runs = grouped(order, lengths)
    gather, scatter, masks = side_by_side(runs, read)
    groups = tuple(Group(len(members), lengths[members[-1]], None if bool(real.all()) else real.to(device),
                         max(asked[member] for member in members)) for members, real in zip(runs, masks, strict=True))
    asking = side_by_side(runs, written)
    return Packing(groups, gather.to(device), scatter.to(device), torch.tensor(order).to(device),
                   torch.from_numpy(read[:, 1].copy()).to(device), False, (asking[0].to(device), asking[1].to(device)))


def side_by_side(runs: list[list[int]], segments: Ints) -> tuple[Tensor, Tensor, list[Tensor]]:
    """The token of each place of the groups, the place of each token, and which places of a group are real, (n, L)."""
    scatter = torch.zeros(int(segments[:, 2].max()), dtype=torch.long)
    gathers, masks, base = [], [], 0
    for members in runs:
        begins, ends = (torch.from_numpy(segments[members, side]) for side in (1, 2))
        longest = int((ends - begins).max())
        steps = torch.arange(longest)
        real = steps[None, :] < (ends - begins)[:, None]  # (n, L)
        gather = torch.where(real, begins[:, None] + steps[None, :], 0)
        places = torch.arange(len(members) * longest).view(len(members), longest) + base
        scatter[gather[real]] = places[real]
        base += len(members) * longest
        gathers.append(gather.view(-1))
        masks.append(real)
    return torch.cat(gathers), scatter, masks


def grouped(order: list[int], lengths: list[int]) -> list[list[int]]:
    """Segments sorted by length, parted into at most GROUPS runs so that few score cells are padding."""
    ends = [end for end in range(1, len(order) + 1)
            if end == len(order) or lengths[order[end]] != lengths[order[end - 1]]]
    step = -(-len(ends) // CUTS)
    ends = [0, *ends[(len(ends) - 1) % step::step]]  # the last end is always kept

    def cost(begin: int, end: int) -> int:
        """Score cells of one group, and the price of its calls."""
        return (end - begin) * lengths[order[end - 1]] ** 2 + CALL

    best = {end: (cost(0, end), [end]) for end in ends[1:]}
    for _ in range(GROUPS - 1):
        best = {end: min([best[end], *((best[cut][0] + cost(cut, end), [*best[cut][1], end])
                                       for cut in ends[1:] if cut < end)], key=lambda pair: pair[0])
                for end in ends[1:]}
    borders = [0, *best[len(order)][1]]
    return [order[begin:end] for begin, end in itertools.pairwise(borders)]


def packed_attention(query: Tensor, key: Tensor, value: Tensor, pack: Packing, *, dropout: float, scaling: float, window: int | None = None,
                     causal: bool = False, firsts: bool = False, bias: Tensor | None = None) -> Tensor:
    """Attention inside each segment of a packed row: q, k, v (1, H, T, D) -> (1, T, H, D).

    With `window`, a token sees those fewer than `window` places away (ModernBERT's local layers); with `causal`, none
    that comes after it (decoders). With `firsts`, the queries are the first tokens of the segments alone:
    (1, H, N, D) -> (1, N, H, D). `bias` (H, L, L) is added to the scores of each segment (T5's distances).
    """
    assert not (causal and (firsts or pack.asking is not None)), "the first token of a causal row sees itself alone"
    _, heads, asked, width = query.shape
    rows = [states.transpose(1, 2).reshape(-1, width) for states in (query, key, value)]
    trains = torch.is_grad_enabled() and any(states.requires_grad for states in rows)
    if query.device.type == "cpu" and (dropout or pack.longest <= (SMALL_TRAINED if trains else SMALL_ANSWERED)):
        apply: Any = SmallAttention.apply
        mixed: Tensor = apply(*rows, bias, pack, heads, dropout, scaling, window, causal, firsts)
        return mixed.view(1, asked, heads, width)
    gather, _ = pack.by_head(heads)
    gather_queries, scatter_queries = pack.asked_by_head(heads, firsts)
    queries, keys, values = (states.index_select(0, index)
                             for states, index in zip(rows, (gather_queries, gather, gather), strict=True))
    outputs = []
    plain = causal and window is None and bias is None  # torch knows this mask by name, and has quicker ways for it
    masks = [None] * len(pack.groups) if plain else pack.masks(window, causal)
    for (q, k, v), seen in zip(parts(pack, heads, (queries,), (keys, values), firsts), masks, strict=True):
        q, k, v = (states.view(-1, heads, *states.shape[1:]) for states in (q, k, v))
        outputs.append(torch.nn.functional.scaled_dot_product_attention(
            q, k, v, attn_mask=biased(bias, seen, q, k), dropout_p=dropout, is_causal=plain, scale=scaling).reshape(-1, width))
    return torch.cat(outputs).index_select(0, scatter_queries).view(1, asked, heads, width)


def biased(bias: Tensor | None, seen: Tensor | None, query: Tensor, key: Tensor) -> Tensor | None:
    """What torch's own attention is told of a group: what may be seen, with the bias where there is one."""
    if bias is None:
        return seen
    own = bias[None, :, :query.shape[2], :key.shape[2]].to(query.dtype)
    return own if seen is None else own.masked_fill(~seen, torch.finfo(query.dtype).min)


def forward(module: torch.nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None,
            scaling: float | None = None, dropout: float = 0.0, **more: Any) -> tuple[Tensor, Tensor | None]:
    """The attention function that transformers calls: packed when the batch is, else torch's own with the mask."""
    pack: Packing | None = more.pop("packing", None)
    if pack is not None:
        assert scaling is not None
        if key.shape[1] != query.shape[1]:  # several heads share keys and values (Llama's grouped queries)
            key, value = (states.repeat_interleave(query.shape[1] // key.shape[1], dim=1) for states in (key, value))
        query, key = query.to(value.dtype), key.to(value.dtype)  # Llama turns them in fp32 under autocast
        return packed_attention(query, key, value, pack, dropout=dropout, scaling=scaling,
                                window=more.get("sliding_window"), causal=getattr(module, "is_causal", False)), None
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    result: tuple[Tensor, Tensor | None] = sdpa_attention_forward(
        module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **more)
    return result


def implementation(packs: bool) -> str:
    """Which attention a family is loaded with: ours, or the library's plain one for those that would never call ours.

    They add the mask to the scores by themselves, so it must not be one of true and false.
    """
    return NAME if packs else "eager"


def register() -> None:
    """Make the function known to transformers, with the mask builder of sdpa.

    Registered for attention alone, transformers would build no mask, and padding would be attended without a word.
    """
    from transformers import AttentionInterface
    from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

    AttentionInterface.register(NAME, forward)
    AttentionMaskInterface.register(NAME, sdpa_mask)
