"""The likeliest sequence of tags that makes sense.

W words, C tags.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.text.tags import BEGINS, ENDS, INNER, Entity, entities, parts

NEVER = -1e12


@lru_cache(maxsize=16)
def steps(labels: tuple[str, ...]) -> tuple[NDArray[Any], NDArray[Any]]:
    """What may begin, (C,), and what may follow what, (C, C): 0 where it may.

    A tag inside of an entity follows a tag of its type that does not end one. Where some type has no B- (IOB1), every tag may
    follow every other.
    """
    begin, table = np.zeros(len(labels)), np.zeros((len(labels), len(labels)))
    held = [parts(label) or ("O", "") for label in labels]
    marked = {kind for prefix, kind in held if prefix in BEGINS}
    for place, (prefix, kind) in enumerate(held):
        if prefix not in INNER or not {kind for prefix, kind in held if prefix in INNER} <= marked:
            continue
        begin[place] = NEVER
        for before, (mark, type_) in enumerate(held):
            if type_ != kind or mark in ENDS or mark == "O":
                table[before, place] = NEVER
    return begin, table


def likeliest(logs: NDArray[Any], labels: Sequence[str]) -> list[int]:
    """The tags with the highest sum of log-probabilities (W, C) among allowed sequences (Viterbi 1967)."""
    if not len(logs):
        return []
    begin, table = steps(tuple(labels))
    alone = logs.argmax(axis=1)
    if begin[alone[0]] == 0 and not table[alone[:-1], alone[1:]].any():
        return [int(place) for place in alone]  # nothing stands in the way of each word's best
    score, back = logs[0] + begin, np.zeros(logs.shape, dtype=np.int32)
    for place in range(1, len(logs)):
        ways = score[:, None] + table
        back[place] = ways.argmax(axis=0)
        score = ways.max(axis=0) + logs[place]
    chosen = [int(score.argmax())]
    for place in range(len(logs) - 1, 0, -1):
        chosen.append(int(back[place, chosen[-1]]))
    return chosen[::-1]


def found(pieces: Sequence[tuple[Sequence[int], NDArray[Any], Mapping[int, int]]], labels: Sequence[str]) -> list[tuple[Entity, float]]:
    """The entities of a text from all its windows, with the mean probability of their words' tags.

    A word without tokens belongs to the entity around it, or to that of the word whose token holds it.
    """
    words = np.concatenate([np.asarray(piece[0], dtype=np.int64) for piece in pieces])
    order = np.argsort(words, kind="stable")
    logs = np.concatenate([piece[1] for piece in pieces])[order]
    spoken, held_by = words[order].tolist(), pieces[0][2]
    chosen = likeliest(logs, labels)
    sure = np.exp(logs[np.arange(len(chosen)), chosen])
    made = []
    for one in entities([labels[place] for place in chosen]):
        begin, end = spoken[one.begin], spoken[one.end - 1] + 1
        while held_by.get(end, -1) == spoken[one.end - 1]:
            end += 1
        made.append((Entity(begin, end, one.type), float(sure[one.begin:one.end].mean())))
    return made
