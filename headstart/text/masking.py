"""Which tokens are masked for a model to predict, as BERT does it (Devlin et al. 2018, section 3.1 and appendix A.1).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random


def word_groups(offsets: Sequence[tuple[int, int]], text: str) -> list[list[int]]:
    """Token positions of each word (whole-word masking); words are separated by space.

    word_groups([(0, 4), (4, 7), (8, 10)], "blueish 12") -> [[0, 1], [2]]
    """
    groups: list[list[int]] = []
    previous_end = -1
    for index, (start, end) in enumerate(offsets):
        if not groups or start > previous_end or text[start:start + 1].isspace() or text[previous_end:start].isspace():
            groups.append([])
        groups[-1].append(index)
        previous_end = end
    return groups


def mask_tokens(ids: Sequence[int], groups: Sequence[Sequence[int]], rng: Random, *, share: float, mask_id: int,
                random_token_id: Callable[[Random], int]) -> tuple[list[int], list[int]]:
    """Ids with about this share of the tokens masked, a group of positions at a time; and the masked positions,
    ascending.

    Of these, 80 % become the mask token, 10 % a random token, 10 % stay. At least one token is masked.
    """
    target_count = max(1, round(share * len(ids)))
    order = list(range(len(groups)))
    rng.shuffle(order)
    positions: list[int] = []
    for group in order:
        if len(positions) >= target_count:
            break
        if not positions or len(positions) + len(groups[group]) <= target_count:
            positions += groups[group]
    masked_ids = list(ids)
    for position in sorted(positions):
        chance = rng.random()
        if chance < 0.8:
            masked_ids[position] = mask_id
        elif chance < 0.9:
            masked_ids[position] = random_token_id(rng)
    return masked_ids, sorted(positions)
