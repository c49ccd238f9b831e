"""Tags of words and the entities they spell, in every usual scheme: BIO, IOB1, BIOES, BILOU."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

FORM = re.compile(r"(?:O|([BIESLUM])-(.+)|([^-\s]\S*))\Z")
BEGINS, ENDS, INNER = ("B", "S", "U"), ("E", "L", "S", "U"), ("I", "E", "L", "M")


@dataclass(frozen=True, order=True)
class Entity:
    """Words [begin, end) of one type."""

    begin: int
    end: int
    type: str


def parts(tag: str) -> tuple[str, str] | None:
    """"B-PER" as ("B", "PER"), "O" as ("O", ""), a tag without prefix as ("S", tag); None for what is no tag."""
    found = FORM.match(tag)
    if found is None:
        return None
    if tag == "O":
        return "O", ""
    return (found[1], found[2]) if found[1] else ("S", found[3])


def entities(tags: Sequence[str]) -> tuple[list[Entity], int]:
    """The entities that tags spell, and how many had to be begun without a sign of a beginning.

    An entity begins at B, S or U, and at I, E, L or M after a word of no or another type (in IOB1 that is the rule, in
    the other schemes a fault that has only this repair); it ends at E, L, S or U, and before whatever begins or is O.
    """
    found: list[Entity] = []
    begin, kind, unmarked = -1, "", 0
    for place, tag in enumerate([*tags, "O"]):
        prefix, type_ = parts(tag) or ("O", "")
        goes_on = prefix in INNER and kind == type_ and begin >= 0
        if begin >= 0 and not goes_on:
            found.append(Entity(begin, place, kind))
            begin = -1
        if prefix != "O" and begin < 0:
            begin, kind = place, type_
            unmarked += prefix in INNER
        if begin >= 0 and prefix in ENDS:
            found.append(Entity(begin, place + 1, kind))
            begin = -1
    return found, unmarked


def as_bio(found: Iterable[Entity], words: int) -> list[str]:
    """Entities as BIO tags."""
    tags = ["O"] * words
    for one in found:
        tags[one.begin:one.end] = [f"B-{one.type}", *[f"I-{one.type}"] * (one.end - one.begin - 1)]
    return tags


def scheme(sentences: Iterable[Sequence[str]]) -> str:
    """"bioes", "iob1", "bio" or "plain" (no prefixes): what a dataset's tags are.

    IOB1 uses B only where an entity of the same type stands right before.
    """
    ends = begins = fresh = unmarked = bare = 0
    for tags in sentences:
        before = "O"
        for tag in tags:
            prefix, type_ = parts(tag) or ("O", "")
            bare += prefix == "S" and not tag.startswith("S-")
            ends += prefix in ENDS and tag[1:2] == "-"
            begins += prefix == "B"
            fresh += prefix == "B" and (parts(before) or ("O", ""))[1] != type_
            unmarked += prefix == "I" and (parts(before) or ("O", ""))[1] != type_
            before = tag
    if bare and not begins + ends + unmarked:
        return "plain"
    return "bioes" if ends else "iob1" if unmarked and not fresh else "bio"
