"""Which tokens are hidden for a model to guess, as BERT does it (Devlin et al. 2018, section 3.1 and appendix A.1)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random


def words(offsets: Sequence[tuple[int, int]], text: str) -> list[list[int]]:
    """Places of the tokens of each word; words are parted by space.

    words([(0, 4), (4, 7), (8, 10)], "blueish 12") -> [[0, 1], [2]]
    """
    found: list[list[int]] = []
    end = -1
    for place, (begin, after) in enumerate(offsets):
        if not found or begin > end or text[begin:begin + 1].isspace() or text[end:begin].isspace():
            found.append([])
        found[-1].append(place)
        end = after
    return found


def masked(ids: Sequence[int], groups: Sequence[Sequence[int]], draw: Random, *, share: float, mask_id: int,
           any_piece: Callable[[Random], int]) -> tuple[list[int], list[int]]:
    """Ids with about this share of the tokens hidden, a group of places at a time; and the hidden places, ascending.

    Of the hidden, 80 % become the mask, 10 % any piece, 10 % stay. At least one token is hidden.
    """
    wanted = max(1, round(share * len(ids)))
    order = list(range(len(groups)))
    draw.shuffle(order)
    chosen: list[int] = []
    for number in order:
        if len(chosen) >= wanted:
            break
        if not chosen or len(chosen) + len(groups[number]) <= wanted:
            chosen += groups[number]
    made = list(ids)
    for place in sorted(chosen):
        fate = draw.random()
        if fate < 0.8:
            made[place] = mask_id
        elif fate < 0.9:
            made[place] = any_piece(draw)
    return made, sorted(chosen)
