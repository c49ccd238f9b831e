"""Tags of words and the entities they spell, in every usual scheme: BIO (IOB2), IOB1, BIOES (BILOU, BMES).

    tags      B-PER I-PER O B-LOC        (in IOB1: I-PER I-PER O I-LOC; in BIOES: B-PER E-PER O S-LOC)
    entities  words [0, 2) PER, [3, 4) LOC

Tags are read the one way in which conlleval and seqeval read them; where their scheme does not allow them, that is a repair.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

# A tag without a prefix is a type; a lone prefix, or another letter where a prefix should be, is a mistake.
FORM = re.compile(r"(?:O|([BIESLUM])-(\S+)|(?![A-Za-z]-)(?![BIESLUM]\Z)([^-\s]\S*))\Z")
BEGINS, ENDS, INNER = ("B", "S", "U"), ("E", "L", "S", "U"), ("I", "E", "L", "M")
PREFIXES = {"bio": "BIO", "iob1": "BIO", "bioes": "BIOESLUM"}


@dataclass(frozen=True, order=True)
class Entity:
    """Words [begin, end) of one type."""

    begin: int
    end: int
    type: str


@dataclass(frozen=True)
class Spelled:
    """An entity, and whether a tag says that it begins (B, S, U) and that it ends (E, L, S, U)."""

    entity: Entity
    begun: bool
    ended: bool


def parts(tag: str) -> tuple[str, str] | None:
    """"B-PER" as ("B", "PER"), "O" as ("O", ""), a tag without prefix as ("S", tag); None for what is no tag."""
    found = FORM.match(tag)
    if found is None:
        return None
    if tag == "O":
        return "O", ""
    return (found[1], found[2]) if found[1] else ("S", found[3])


def prefixed(tag: str) -> bool:
    """Whether a tag of an entity has a prefix."""
    return tag != "O" and tag[1:2] == "-"


def spelled(tags: Sequence[str]) -> list[Spelled]:
    """The entities that tags spell, in order.

    An entity begins at B, S or U, and at I, E, L or M after a word of no or another type; it ends at E, L, S or U, and
    before whatever begins or is O.
    """
    found: list[Spelled] = []
    begin, kind, begun = -1, "", False
    for place, tag in enumerate([*tags, "O"]):
        prefix, type_ = parts(tag) or ("O", "")
        goes_on = prefix in INNER and kind == type_ and begin >= 0
        if begin >= 0 and not goes_on:
            found.append(Spelled(Entity(begin, place, kind), begun, False))
            begin = -1
        if prefix != "O" and begin < 0:
            begin, kind, begun = place, type_, prefix in BEGINS
        if begin >= 0 and prefix in ENDS:
            found.append(Spelled(Entity(begin, place + 1, kind), begun, True))
            begin = -1
    return found


def entities(tags: Sequence[str]) -> list[Entity]:
    """The entities that tags spell: entities(["I-PER", "E-PER", "O"]) -> [Entity(0, 2, "PER")]."""
    return [one.entity for one in spelled(tags)]


def as_bio(found: Iterable[Entity], words: int) -> list[str]:
    """Entities as BIO tags."""
    tags = ["O"] * words
    for one in found:
        tags[one.begin:one.end] = [f"B-{one.type}", *[f"I-{one.type}"] * (one.end - one.begin - 1)]
    return tags


def signs(tags: Sequence[str]) -> Counter[str]:
    """What speaks for each scheme in a sentence, to be added up over a dataset."""
    held = Counter("plain" for tag in tags if tag != "O" and not prefixed(tag))
    held["bioes"] += sum(prefixed(tag) and tag[0] in ENDS for tag in tags)
    before: Entity | None = None
    for one in spelled(tags):
        held["iob1"] += not one.begun
        # IOB1 has a B only between two neighbours of one type; BIO has one wherever an entity begins.
        held["bio"] += one.begun and prefixed(tags[one.entity.begin]) and not neighbours(before, one.entity)
        before = one.entity
    return held


def neighbours(former: Entity | None, later: Entity) -> bool:
    """Whether an entity stands right before another of its type."""
    return former is not None and former.end == later.begin and former.type == later.type


def scheme(held: Counter[str]) -> str:
    """"bioes", "iob1", "bio" or "plain" (no prefixes): what a dataset's signs speak for."""
    if held["bioes"]:
        return "bioes"
    if held["plain"] and not held["bio"] + held["iob1"]:
        return "plain"
    return "iob1" if held["iob1"] > held["bio"] else "bio"


def repairs(tags: Sequence[str], form: str) -> int:
    """How many entities of a sentence are not spelled as their scheme wants: without their B or E, or in IOB1 with a needless B."""
    if form == "plain":
        return 0
    count = 0
    before: Entity | None = None
    for one in spelled(tags):
        wrong = one.begun and not neighbours(before, one.entity) if form == "iob1" else not one.begun
        count += wrong or (form == "bioes" and not one.ended)
        before = one.entity
    return count


def ambiguous(tags: Sequence[str]) -> int | None:
    """The word at which BIOES tags can be mended in two ways; None when there is none.

    B-PER E-LOC lacks an end and a beginning at one place: it is one entity with a wrong type, or two.
    """
    if not any(prefixed(tag) and tag[0] in ENDS for tag in tags):
        return None
    return next((later.entity.begin for former, later in pairwise(spelled(tags))
                 if former.entity.end == later.entity.begin and not former.ended and not later.begun), None)
