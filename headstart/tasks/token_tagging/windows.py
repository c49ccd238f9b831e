"""Windows of a text as model input: each word is learned and answered in one of them.

L tokens of a feature, W words, C tags.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any

from headstart.contract import Feature, Target, Tokenizer
from headstart.tasks.token_tagging.reading import Tagged
from headstart.text.alignment import Aligned, align
from headstart.text.tags import Entity
from headstart.text.windows import windows

NONE = -100
Window = tuple[int, int]


def features(example: Tagged, tokenizer: Tokenizer, number: Mapping[str, int], *, overlap: int, every_piece: bool,
             predicting: bool) -> list[Feature]:
    """The windows of a text, with a target for the first piece of each word (or every piece) in the window that it belongs to."""
    held = tokenizer.tokenize(example.text)
    aligned = align(example.text, example.places, held.offsets or ())
    room, at = tokenizer.room(1), tokenizer.lay_out([-1])[0].index(-1)
    parts = windows(len(held.ids), room, min(overlap, room // 2))
    mine: list[list[int]] = [[] for _ in parts]
    for word in aligned.spoken:
        mine[best(parts, aligned.first[word], aligned.last[word])].append(word)
    tags = targets(example.found, aligned, len(example.places)) if example.found is not None else []
    made = []
    for words, (begin, end) in zip(mine, parts, strict=True):
        ids, types = tokenizer.lay_out(held.ids[begin:end])
        values = array("i", [NONE]) * len(ids)
        for word in words if tags else ():
            first, last = aligned.first[word], min(aligned.last[word], end - 1)
            values[first - begin + at] = number.get(tags[word], NONE)
            for token in range(first + 1, last + 1 if every_piece else 0):
                values[token - begin + at] = number.get(inner(tags[word]), NONE)
        info: dict[str, Any] = {}
        if predicting:
            info = {"words": words, "places": [aligned.first[word] - begin + at for word in words], "held_by": aligned.held_by}
        made.append(Feature(ids, types, {"label": Target(values, "token")} if tags else {}, weight=1 / len(parts), info=info))
    return made


def inner(tag: str) -> str:
    """The tag of a word's later pieces."""
    return tag if tag == "O" else f"I-{tag[2:]}"


def best(parts: Sequence[Window], first: int, last: int) -> int:
    """The window, of those that hold a word's first token, in which its tokens stand furthest from the border.

    The beginning and the end of the text are no borders. Of equals the first.
    """
    place = bisect_right(parts, first, key=lambda part: part[1])
    found, most = place, -math.inf
    while place < len(parts) and parts[place][0] <= first:
        before = first - parts[place][0] if place else math.inf
        behind = parts[place][1] - 1 - last if place < len(parts) - 1 else math.inf
        if min(before, behind) > most:
            found, most = place, min(before, behind)
        place += 1
    return found


def targets(found: Sequence[Entity], aligned: Aligned, words: int) -> list[str]:
    """BIO tags of the words; an entity begins at its first word that has tokens."""
    tags = ["O"] * words
    for one in found:
        mark = "B"
        for word in range(one.begin, one.end):
            if aligned.first[word] >= 0:
                tags[word] = f"{mark}-{one.type}"
                mark = "I"
    return tags
