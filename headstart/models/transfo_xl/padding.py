"""Padded rows of a Transformer-XL, and the memory that a segment leaves for the next.

Shapes: B rows, Q positions of a segment, M positions of memory, W width of a state, H heads.

A padded row must give what the row gives alone, and leave the same memory. Only distances between positions matter, so
the words of each row are moved to the left (in their order), the causal model does the rest, and the results are moved
back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from headstart.errors import Exit, UserError


@dataclass(frozen=True)
class PaddedRows:
    """The words of each row, and how to move them to the left and back; None where they are left-aligned already."""

    lengths: Tensor  # (B,) words of each row
    order: Tensor | None  # (B, Q) original position of each
    inverse_order: Tensor | None  # (B, Q) left-aligned position of each

    def left_align(self, states: Tensor) -> Tensor:
        """(B, Q, W) with the words of each row first."""
        return states if self.order is None else gather_positions(states, self.order)

    def restore_order(self, states: Tensor) -> Tensor:
        """(B, Q, W) with the words at their original positions."""
        return states if self.inverse_order is None else gather_positions(states, self.inverse_order)

    def restore_attention(self, attention: Tensor) -> Tensor:
        """(B, H, Q, M + Q) with both queries and keys at the words' original positions."""
        if self.inverse_order is None:
            return attention
        heads, queries, keys = attention.shape[1:]
        memory = keys - queries
        rows = self.inverse_order[:, None, :, None].expand(-1, heads, -1, keys)
        memory_columns = torch.arange(memory, device=self.inverse_order.device).expand(len(self.inverse_order), -1)
        columns = torch.cat([memory_columns, self.inverse_order + memory], 1)
        return attention.gather(2, rows).gather(3, columns[:, None, None, :].expand(-1, heads, queries, -1))


def gather_positions(states: Tensor, positions: Tensor) -> Tensor:
    """The states at positions (B, Q): (B, Q, W) -> (B, Q, W)."""
    return states.gather(1, positions[:, :, None].expand(-1, -1, states.shape[2]))


def padded_rows(mask: Tensor | None, rows: int, length: int) -> PaddedRows | None:
    """Padded rows from an attention mask (B, Q) or one that also covers earlier positions; None without padding."""
    if mask is None:
        return None
    if mask.dim() != 2 or mask.shape[0] != rows or mask.shape[1] < length:
        raise UserError(f"attention_mask must be ({rows}, {length}), but is {tuple(mask.shape)}.",
                        fix="Give 1 for a word and 0 for padding.", exit=Exit.USAGE)
    is_word = mask[:, mask.shape[1] - length:] != 0
    if bool(is_word.all()):
        return None
    lengths = is_word.sum(1)
    if not bool((is_word[:, 1:] & ~is_word[:, :-1]).any()):  # padding follows the words already
        return PaddedRows(lengths, None, None)
    order = torch.argsort(is_word.int(), dim=1, descending=True, stable=True)
    return PaddedRows(lengths, order, torch.argsort(order, dim=1))


def next_memory(memory: Tensor | None, states: Tensor, memory_length: int, empty_length: int,
                padding: PaddedRows | None) -> Tensor:
    """The last `memory_length` states of memory and segment, detached: (M, B, W) and (B, Q, W) -> (M, B, W).

    Without memory there are `empty_length` positions of zeros. Padding does not enter the memory.
    """
    states = states.detach().transpose(0, 1)  # (Q, B, W)
    if memory is None:
        memory = states.new_zeros(empty_length, *states.shape[1:])
    all_states = torch.cat([memory.detach().to(states.dtype), states])
    length = min(memory_length, len(all_states))
    if padding is None:
        return all_states[len(all_states) - length:].clone()
    ends = len(memory) + padding.lengths  # (B,)
    rows = ends - length + torch.arange(length, device=ends.device)[:, None]  # (M, B)
    index = rows.clamp(min=0)[:, :, None].expand(-1, -1, all_states.shape[2])
    return all_states.gather(0, index) * (rows >= 0)[:, :, None].to(all_states.dtype)


def check_memories(mems: Sequence[Tensor], layers: int, rows: int, width: int) -> None:
    """Refuse memories that are not one (M, B, W) a layer: raises UserError."""
    shapes = {tuple(memory.shape) for memory in mems}
    first_shape = next(iter(shapes), ())
    if len(mems) != layers or len(shapes) != 1 or len(first_shape) != 3 or first_shape[1:] != (rows, width):
        raise UserError(f"mems must be {layers} tensors of (places, {rows}, {width}), but are {len(mems)} of "
                        f"{', '.join(map(str, sorted(shapes))) or 'nothing'}.",
                        fix="Pass the mems that the model gave for the segment before, of the same rows.",
                        exit=Exit.USAGE)
