"""Tags of words and the entities they spell, in every usual scheme: BIO (IOB2), IOB1, BIOES (BILOU, BMES).

    tags      B-PER I-PER O B-LOC        (in IOB1: I-PER I-PER O I-LOC; in BIOES: B-PER E-PER O S-LOC)
    entities  words [0, 2) PER, [3, 4) LOC

Tags are read the one way in which conlleval and seqeval read them; where their scheme does not allow them, that counts
as a repair.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

# A tag without a prefix is a type; a lone prefix, or another letter where a prefix should be, is a mistake.
TAG_PATTERN = re.compile(r"(?:O|([BIESLUM])-(\S+)|(?![A-Za-z]-)(?![BIESLUM]\Z)([^-\s]\S*))\Z")
BEGIN_PREFIXES, END_PREFIXES, INSIDE_PREFIXES = ("B", "S", "U"), ("E", "L", "S", "U"), ("I", "E", "L", "M")
SCHEME_PREFIXES = {"bio": "BIO", "iob1": "BIO", "bioes": "BIOESLUM"}


@dataclass(frozen=True, order=True)
class Entity:
    """Words [begin, end) of one type."""

    begin: int
    end: int
    type: str


@dataclass(frozen=True)
class TaggedEntity:
    """An entity, and whether a tag says that it begins (B, S, U) and that it ends (E, L, S, U)."""

    entity: Entity
    has_begin_tag: bool
    has_end_tag: bool


def split_tag(tag: str) -> tuple[str, str] | None:
    """"B-PER" as ("B", "PER"), "O" as ("O", ""), a tag without prefix as ("S", tag); None for what is no tag."""
    match = TAG_PATTERN.match(tag)
    if match is None:
        return None
    if tag == "O":
        return "O", ""
    return (match[1], match[2]) if match[1] else ("S", match[3])


def has_prefix(tag: str) -> bool:
    """Whether a tag of an entity has a prefix."""
    return tag != "O" and tag[1:2] == "-"


def tagged_entities(tags: Sequence[str]) -> list[TaggedEntity]:
    """The entities that tags spell, in order.

    An entity begins at B, S or U, and at I, E, L or M after a word of no or another type; it ends at E, L, S or U, and
    before whatever begins or is O.
    """
    tagged: list[TaggedEntity] = []
    start, kind, has_begin_tag = -1, "", False
    for index, tag in enumerate([*tags, "O"]):
        prefix, type_ = split_tag(tag) or ("O", "")
        continues = prefix in INSIDE_PREFIXES and kind == type_ and start >= 0
        if start >= 0 and not continues:
            tagged.append(TaggedEntity(Entity(start, index, kind), has_begin_tag, False))
            start = -1
        if prefix != "O" and start < 0:
            start, kind, has_begin_tag = index, type_, prefix in BEGIN_PREFIXES
        if start >= 0 and prefix in END_PREFIXES:
            tagged.append(TaggedEntity(Entity(start, index + 1, kind), has_begin_tag, True))
            start = -1
    return tagged


def entities(tags: Sequence[str]) -> list[Entity]:
    """The entities that tags spell: entities(["I-PER", "E-PER", "O"]) -> [Entity(0, 2, "PER")]."""
    return [tagged.entity for tagged in tagged_entities(tags)]


def bio_tags(entities: Iterable[Entity], length: int) -> list[str]:
    """Entities as BIO tags."""
    tags = ["O"] * length
    for entity in entities:
        tags[entity.begin:entity.end] = [f"B-{entity.type}", *[f"I-{entity.type}"] * (entity.end - entity.begin - 1)]
    return tags


def scheme_evidence(tags: Sequence[str]) -> Counter[str]:
    """How many tags of a sentence speak for each scheme, to be added up over a dataset."""
    evidence = Counter("plain" for tag in tags if tag != "O" and not has_prefix(tag))
    evidence["bioes"] += sum(has_prefix(tag) and tag[0] in END_PREFIXES for tag in tags)
    previous: Entity | None = None
    for tagged in tagged_entities(tags):
        evidence["iob1"] += not tagged.has_begin_tag
        # IOB1 has a B only between two neighbours of one type; BIO has one wherever an entity begins.
        evidence["bio"] += tagged.has_begin_tag and has_prefix(tags[tagged.entity.begin]) and not are_adjacent(
            previous, tagged.entity)
        previous = tagged.entity
    return evidence


def are_adjacent(earlier: Entity | None, later: Entity) -> bool:
    """Whether an entity stands right before another of its type."""
    return earlier is not None and earlier.end == later.begin and earlier.type == later.type


def detect_scheme(evidence: Counter[str]) -> str:
    """"bioes", "iob1", "bio" or "plain" (no prefixes): the scheme with the evidence of a dataset."""
    if evidence["bioes"]:
        return "bioes"
    if evidence["plain"] and not evidence["bio"] + evidence["iob1"]:
        return "plain"
    return "iob1" if evidence["iob1"] > evidence["bio"] else "bio"


def count_repairs(tags: Sequence[str], scheme: str) -> int:
    """How many entities of a sentence are not spelled as their scheme wants: without their B or E, or in IOB1 with a
    needless B.
    """
    if scheme == "plain":
        return 0
    count = 0
    previous: Entity | None = None
    for tagged in tagged_entities(tags):
        wrong = tagged.has_begin_tag and not are_adjacent(
            previous, tagged.entity) if scheme == "iob1" else not tagged.has_begin_tag
        count += wrong or (scheme == "bioes" and not tagged.has_end_tag)
        previous = tagged.entity
    return count


def ambiguous_word(tags: Sequence[str]) -> int | None:
    """The word at which BIOES tags can be repaired in two ways; None when there is none.

    B-PER E-LOC lacks an end and a beginning at one word: it is one entity with a wrong type, or two.
    """
    if not any(has_prefix(tag) and tag[0] in END_PREFIXES for tag in tags):
        return None
    return next((later.entity.begin for earlier, later in pairwise(tagged_entities(tags))
                 if earlier.entity.end == later.entity.begin and not earlier.has_end_tag and not later.has_begin_tag),
                None)
