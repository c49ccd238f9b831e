"""The likeliest sequence of tags that makes sense.

W words, C tags.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.text.tags import INNER, parts

NEVER = -1e12


@lru_cache(maxsize=16)
def steps(labels: tuple[str, ...]) -> tuple[NDArray[Any], NDArray[Any]]:
    """What may begin, (C,), and what may follow what, (C, C): 0 where it may.

    A tag inside of an entity follows a tag of its type that does not end one. Labels that have no B- at all (IOB1, or no
    prefixes) may follow anything.
    """
    begin, table = np.zeros(len(labels)), np.zeros((len(labels), len(labels)))
    held = [parts(label) or ("O", "") for label in labels]
    marked = {kind for prefix, kind in held if prefix in ("B", "S", "U")}
    for place, (prefix, kind) in enumerate(held):
        if prefix not in INNER or kind not in marked:
            continue
        begin[place] = NEVER
        for before, (mark, type_) in enumerate(held):
            if type_ != kind or mark in ("E", "L", "S", "U", "O"):
                table[before, place] = NEVER
    return begin, table


def likeliest(logs: NDArray[Any], labels: Sequence[str]) -> list[int]:
    """The tags with the highest sum of log-probabilities (W, C) among allowed sequences (Viterbi 1967)."""
    begin, table = steps(tuple(labels))
    if not len(logs):
        return []
    score, back = logs[0] + begin, np.zeros(logs.shape, dtype=np.int32)
    for place in range(1, len(logs)):
        ways = score[:, None] + table
        back[place] = ways.argmax(axis=0)
        score = ways.max(axis=0) + logs[place]
    chosen = [int(score.argmax())]
    for place in range(len(logs) - 1, 0, -1):
        chosen.append(int(back[place, chosen[-1]]))
    return chosen[::-1]
