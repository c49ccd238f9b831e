"""Sentences with tags: how rows are read, in all the forms that such files have."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from headstart.contract import Example, Json, Row, RowFault
from headstart.errors import Finding
from headstart.text.alignment import joined, words_in, words_of
from headstart.text.tags import Entity, entities, parts, scheme


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


def read(row: Row) -> Tagged:
    """Tokens with tags, or a text with spans; raises RowFault."""
    if row.values.get("tokens") is not None:
        return from_tokens(row)
    text = row.values.get("text")
    if not isinstance(text, str) or not text.strip():
        raise RowFault("E201", "the text is empty.", fix="Fill it in, or leave the row out (--bad-rows skip).", field="text")
    places = words_of(text)
    if row.values.get("spans") is None:
        return Tagged(row.id, text, tuple(places), from_tokens=False)
    found, widened = spans_of(row.values["spans"], text, places)
    return Tagged(row.id, text, tuple(places), tuple(found), None, False, widened)


def from_tokens(row: Row) -> Tagged:
    """A list of tokens, and of tags where there are any."""
    tokens = listed(row.values["tokens"], "tokens")
    if not tokens or any(not one.strip() for one in tokens):
        raise RowFault("E201", f"{'there are no tokens' if not tokens else 'a token is empty'}.", field="tokens",
                       fix="Fill it in, or leave the row out (--bad-rows skip).")
    text, places = joined(tokens)
    if row.values.get("tags") is None:
        return Tagged(row.id, text, tuple(places))
    tags = listed(row.values["tags"], "tags")
    if len(tags) != len(tokens):
        raise RowFault("E301", f"there are {len(tokens)} tokens and {len(tags)} tags.", field="tags", fix="Give each token one tag.")
    for place, tag in enumerate(tags):
        if parts(tag) is None or tag.isdecimal():
            raise RowFault("E302", f"the tag of token {place} ({tokens[place]!r}) is {tag!r}, which is no tag.", field="tags",
                           fix="Tags are O, or a prefix and a type: B-person, I-person. Numbers need their names.")
    return Tagged(row.id, text, tuple(places), tuple(entities(tags)[0]), tuple(tags))


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
            raise RowFault("E304", f"the span {begin} to {end} overlaps the one before.", field="spans", fix="Keep one of them.")
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


def check(splits: Mapping[str, Sequence[Tagged]]) -> list[Finding]:
    """Repaired tags, widened spans, types that training never shows, the scheme."""
    held: list[Finding] = []
    types: dict[str, set[str]] = {}
    for split, examples in splits.items():
        raws = [one.raw for one in examples if one.raw is not None]
        form = scheme(raws) if raws else ""
        repaired = sum(entities(tags)[1] for tags in raws) if form not in ("iob1", "plain") else 0
        if repaired:
            held.append(Finding("W210", f"in {split}, {repaired:,} entities begin without a B-; each was begun where its tag changes.",
                                "Mend the tags, if they are many."))
        if form and split == "train" and form != "bio":
            words = {"iob1": "IOB1", "bioes": "BIOES", "plain": "tags without prefixes: each word is an entity of its own"}[form]
            held.append(Finding("N210", f"the tags are {words}; they are read as BIO."))
        if widened := sum(one.widened for one in examples):
            held.append(Finding("W211", f"in {split}, {widened:,} spans begin or end inside a word; they were widened to the whole word."))
        types[split] = {entity.type for one in examples for entity in one.found or ()}
        held += [Finding("W207", f"the type {kind!r} stands in {split} but never in train.", "The model cannot find it.")
                 for kind in sorted(types[split] - types.get("train", types[split]))]
    if not types.get("train") and len(splits.get("train", ())):
        held.append(Finding("E203", "the training rows hold no entity.", "Is this the right column of tags?"))
    return held
