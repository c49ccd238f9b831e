"""Sentences with tags: how rows are read, in all the forms that such files have."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from headstart.contract import Example, Json, Row, RowFault
from headstart.errors import Finding
from headstart.text.alignment import joined, words_in, words_of
from headstart.text.tags import PREFIXES, Entity, ambiguous, entities, parts, prefixed, repairs, scheme, signs

SCHEMES = {"iob1": "IOB1", "bioes": "BIOES", "plain": "tags without prefixes: each word is an entity of its own"}


@dataclass(frozen=True)
class Tagged(Example):
    """A text, the characters of its words, its entities (None when predicting), and its tags as they stood in the file."""

    text: str
    places: tuple[tuple[int, int], ...]
    found: tuple[Entity, ...] | None = None
    raw: tuple[str, ...] | None = None
    from_tokens: bool = True
    widened: int = 0  # spans that did not end at a word's border

    @property
    def words(self) -> list[str]:
        """Its words."""
        return [self.text[begin:end] for begin, end in self.places]


def read(row: Row, form: str) -> Tagged:
    """Tokens with tags of this scheme (auto: any), or a text with spans; raises RowFault."""
    if row.values.get("tokens") is not None:
        return from_tokens(row, form)
    text = row.values.get("text")
    if not isinstance(text, str) or not text.strip():
        raise RowFault("E201", "the text is empty.", fix="Fill it in, or leave the row out (--bad-rows skip).", field="text")
    places = words_of(text)
    if row.values.get("spans") is None:
        return Tagged(row.id, text, tuple(places), from_tokens=False)
    found, widened = spans_of(row.values["spans"], text, places)
    return Tagged(row.id, text, tuple(places), tuple(found), None, False, widened)


def from_tokens(row: Row, form: str) -> Tagged:
    """A list of tokens, and of tags where there are any."""
    tokens = listed(row.values["tokens"], "tokens")
    if not tokens or any(not one.strip() for one in tokens):
        raise RowFault("E201", f"{'there are no tokens' if not tokens else 'a token is empty'}.", field="tokens",
                       fix="Fill it in, or leave the row out (--bad-rows skip).")
    text, places = joined(tokens)
    given = row.values.get("tags")
    if given is None or (isinstance(given, str) and not given.strip()):
        return Tagged(row.id, text, tuple(places))
    tags = listed(given, "tags")
    if len(tags) != len(tokens):
        raise RowFault("E301", f"there are {len(tokens)} tokens and {len(tags)} tags.", field="tags", fix="Give each token one tag.")
    check_tags(tokens, tags, form)
    return Tagged(row.id, text, tuple(places), tuple(entities(tags)), tuple(tags))


def check_tags(tokens: Sequence[str], tags: Sequence[str], form: str) -> None:
    """Refuse what is no tag, and tags that can be mended in two ways."""
    some = any(map(prefixed, tags))
    for place, tag in enumerate(tags):
        known = parts(tag) is not None and not tag.isdecimal() and (tag == "O" or prefixed(tag) or not some)
        if not known or (form != "auto" and tag[0] not in PREFIXES[form]) or (form != "auto" and tag != "O" and not prefixed(tag)):
            raise RowFault("E302", f"the tag of token {place} ({tokens[place]!r}) is {tag!r}, which is no tag"
                           f"{'' if form == 'auto' else f' of the scheme {form}'}.", field="tags",
                           fix="Tags are O, or a prefix and a type: B-person, I-person. Numbers need their names.")
    twice = ambiguous(tags)
    if twice is not None:
        raise RowFault("E307", f"at token {twice} ({tokens[twice]!r}) the tags {tags[twice - 1]} {tags[twice]} lack an end and a "
                       "beginning: one entity of a wrong type, or two?", field="tags", fix="Mend one of them.")


def listed(value: Json, field: str) -> list[str]:
    """A list of texts: as it is, as JSON in a text, or words parted by space."""
    if isinstance(value, str):
        if not value.lstrip().startswith("["):
            return value.split()
        try:
            value = json.loads(value)
        except ValueError:
            raise RowFault("E305", f"the {field} {value!r:.60} begin like a list and are none.", field=field,
                           fix='Write ["a", "b"], or words parted by blanks.') from None
    if not isinstance(value, list) or any(isinstance(one, list | dict) or one is None for one in value):
        raise RowFault("E305", f"the {field} are {value!r:.60}, a list of texts was expected.", field=field,
                       fix='Write ["a", "b"], or words parted by blanks.')
    return [str(one) for one in value]


def spans_of(value: Json, text: str, places: Sequence[tuple[int, int]]) -> tuple[list[Entity], int]:
    """Entities from [{"start", "end", "type"}], and how many were widened to whole words."""
    if isinstance(value, str):
        try:
            value = json.loads(value or "[]")
        except ValueError:
            value = None
    if not isinstance(value, list):
        raise RowFault("E303", "the spans are no list.", field="spans", fix='Write [{"start": 0, "end": 4, "type": "person"}].')
    found, widened, before = [], 0, -1
    for begin, end, kind in sorted(one_span(held, text) for held in value):
        inside = words_in(places, begin, end)
        if inside is None:
            raise RowFault("E303", f"the span {begin} to {end} holds no word.", field="spans", fix="Mend its start and end.")
        if inside[0] < before:
            raise RowFault("E304", f"the span {begin} to {end} shares a word with the one before.", field="spans", fix="Keep one of them.")
        widened += (places[inside[0]][0], places[inside[1] - 1][1]) != (begin, end)
        before = inside[1]
        found.append(Entity(*inside, kind))
    return found, widened


def one_span(one: Json, text: str) -> tuple[int, int, str]:
    """Begin, end and type of a span; raises RowFault."""
    held = one if isinstance(one, Mapping) else {}
    begin, end, kind = held.get("start"), held.get("end"), held.get("type", held.get("label"))
    if type(begin) is not int or type(end) is not int or not isinstance(kind, str) or not 0 <= begin < end <= len(text):
        raise RowFault("E303", f"the span {one!r:.80} is no part of the text ({len(text)} characters).", field="spans",
                       fix='A span is {"start": …, "end": …, "type": …}; characters count from 0, the end is not included.')
    return begin, end, kind


@dataclass
class Pass:
    """What one pass over a split finds."""

    signs: Counter[str] = field(default_factory=Counter)
    repairs: Counter[str] = field(default_factory=Counter)  # by scheme
    types: set[str] = field(default_factory=set)
    widened: int = 0
    unlabelled: list[int] = field(default_factory=list)  # rows


def look(examples: Sequence[Tagged]) -> Pass:
    """One pass over a split."""
    made = Pass()
    for one in examples:
        if one.found is None:
            made.unlabelled.append(one.row)
        if one.raw is not None:
            made.signs += signs(one.raw)
            made.repairs.update({form: repairs(one.raw, form) for form in PREFIXES})
        made.types |= {entity.type for entity in one.found or ()}
        made.widened += one.widened
    return made


def check(splits: Mapping[str, Sequence[Tagged]], form: str) -> list[Finding]:
    """Rows without an answer, repaired tags, widened spans, types that training never shows, the scheme."""
    held: list[Finding] = []
    known: set[str] | None = None
    for split, examples in splits.items():
        seen = look(examples)
        if seen.unlabelled:
            held.append(Finding("E202", f"in {split}, {len(seen.unlabelled):,} rows have neither tags nor spans (first: row "
                                f"{seen.unlabelled[0]}).", "Fill them in ([] where there is no entity), or leave those rows out."))
        own = scheme(seen.signs) if form == "auto" else form
        if count := seen.repairs[own]:
            held.append(Finding("W210", f"in {split}, {count:,} entities are not spelled as {SCHEMES.get(own, 'BIO')} wants (an I- "
                                "without its B-, a type that changes); each begins and ends where its type does.",
                                "Mend the tags, if they are many."))
        if own in SCHEMES and seen.signs and split == "train":
            held.append(Finding("N210", f"the tags are {SCHEMES[own]}; they are read as BIO."))
        if seen.widened:
            held.append(Finding("W211", f"in {split}, {seen.widened:,} spans begin or end inside a word, or at a space; they were set "
                                "to whole words.", "Mend their starts and ends, if they are many."))
        known = seen.types if known is None else known
        held += [Finding("W207", f"the type {kind!r} stands in {split} but never in train.",
                         "The model cannot find it, and every such entity counts as missed.")
                 for kind in sorted(seen.types - known)]
        if split == "train" and len(examples) and not seen.types and not seen.unlabelled:
            held.append(Finding("E203", "the training rows hold no entity.", "Is this the right column of tags?"))
    return held
