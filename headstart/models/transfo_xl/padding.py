"""Which places of a padded batch hold words, and what a segment leaves behind for the next.

Shapes: B rows, Q places of a segment, M rows of memory, W width of a state, H heads.

A padded row must give what the row gives alone, and leave the same memory. Places are only told apart by their
distance, so the words of each row are moved to the front (their order stays), the causal model does the rest, and the
results are moved back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from headstart.errors import Exit, UserError


@dataclass(frozen=True)
class Places:
    """The words of each row, and how to move them to the front and back; None where they are there already."""

    lengths: Tensor  # (B,) words of each row
    order: Tensor | None  # (B, Q) place from which each comes
    back: Tensor | None  # (B, Q) place to which each goes

    def to_front(self, states: Tensor) -> Tensor:
        """(B, Q, W) with the words of each row first."""
        return states if self.order is None else moved(states, self.order)

    def put_back(self, states: Tensor) -> Tensor:
        """(B, Q, W) where the words stood."""
        return states if self.back is None else moved(states, self.back)

    def put_back_attention(self, attention: Tensor) -> Tensor:
        """(B, H, Q, M + Q) with both queries and keys where the words stood."""
        if self.back is None:
            return attention
        heads, queries, keys = attention.shape[1:]
        memory = keys - queries
        rows = self.back[:, None, :, None].expand(-1, heads, -1, keys)
        columns = torch.cat([torch.arange(memory, device=self.back.device).expand(len(self.back), -1), self.back + memory], 1)
        return attention.gather(2, rows).gather(3, columns[:, None, None, :].expand(-1, heads, queries, -1))


def moved(states: Tensor, places: Tensor) -> Tensor:
    """(B, Q, W) taken from the places (B, Q)."""
    return states.gather(1, places[:, :, None].expand(-1, -1, states.shape[2]))


def places_of(mask: Tensor | None, rows: int, length: int) -> Places | None:
    """Where the words are, from an attention mask (B, Q) or one that also covers earlier places; None for everywhere."""
    if mask is None:
        return None
    if mask.dim() != 2 or mask.shape[0] != rows or mask.shape[1] < length:
        raise UserError(f"attention_mask must be ({rows}, {length}), but is {tuple(mask.shape)}.",
                        fix="Give 1 for a word and 0 for padding.", exit=Exit.USAGE)
    words = mask[:, mask.shape[1] - length:] != 0
    if bool(words.all()):
        return None
    lengths = words.sum(1)
    if not bool((words[:, 1:] & ~words[:, :-1]).any()):  # padding follows the words already
        return Places(lengths, None, None)
    order = torch.argsort(words.int(), dim=1, descending=True, stable=True)
    return Places(lengths, order, torch.argsort(order, dim=1))


def remembered(memory: Tensor | None, states: Tensor, longest: int, fresh: int, places: Places | None) -> Tensor:
    """The last `longest` states of memory and segment, detached: (M, B, W) and (B, Q, W) -> (M, B, W).

    Without memory there are `fresh` rows of zeros. Padding leaves nothing behind.
    """
    states = states.detach().transpose(0, 1)  # (Q, B, W)
    if memory is None:
        memory = states.new_zeros(fresh, *states.shape[1:])
    joined = torch.cat([memory.detach().to(states.dtype), states])
    kept = min(longest, len(joined))
    if places is None:
        return joined[len(joined) - kept:].clone()
    ends = len(memory) + places.lengths  # (B,)
    rows = ends - kept + torch.arange(kept, device=ends.device)[:, None]  # (M, B)
    index = rows.clamp(min=0)[:, :, None].expand(-1, -1, joined.shape[2])
    return joined.gather(0, index) * (rows >= 0)[:, :, None].to(joined.dtype)


def check_memories(mems: Sequence[Tensor], layers: int, rows: int, width: int) -> None:
    """Refuse memories that are not one (M, B, W) a layer: raises UserError."""
    shapes = {tuple(memory.shape) for memory in mems}
    first = next(iter(shapes), ())
    if len(mems) != layers or len(shapes) != 1 or len(first) != 3 or first[1:] != (rows, width):
        raise UserError(f"mems must be {layers} tensors of (places, {rows}, {width}), but are {len(mems)} of "
                        f"{', '.join(map(str, sorted(shapes))) or 'nothing'}.",
                        fix="Pass the mems that the model gave for the segment before, of the same rows.", exit=Exit.USAGE)
