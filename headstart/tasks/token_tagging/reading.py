"""Sentences with tags: how rows are read, in all the forms that such files have."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from headstart.contract import Example, Json, Row, RowFault
from headstart.errors import Finding
from headstart.text.alignment import join_words, word_spans, words_in_span
from headstart.text.json_values import parse_list_text
from headstart.text.tags import (
    SCHEME_PREFIXES,
    Entity,
    ambiguous_word,
    bio_tags,
    count_repairs,
    detect_scheme,
    entities,
    has_prefix,
    scheme_evidence,
    split_tag,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SCHEME_NAMES = {"iob1": "IOB1", "bioes": "BIOES", "plain": "tags without prefixes: each word is an entity of its own "
                "(neighbours of one type are one entity with task.scheme=io)"}
UNTYPED_TAGS = frozenset("BIESLUMO")


@dataclass(frozen=True)
class TaggedText(Example):
    """A text, the characters of its words, its entities (None when predicting), and its tags as in the file."""

    text: str
    word_spans: tuple[tuple[int, int], ...]
    entities: tuple[Entity, ...] | None = None
    file_tags: tuple[str, ...] | None = None
    from_tokens: bool = True
    widened: int = 0  # spans that did not end at a word's border

    @property
    def words(self) -> list[str]:
        """The words of the text."""
        return [self.text[begin:end] for begin, end in self.word_spans]


def read(row: Row, scheme: str, only_type: str = "") -> TaggedText:
    """Tokens with tags of this scheme (auto: any), or a text with spans; raises RowFault.

    `only_type` is the type of tags that name none: with "entity" B is B-entity.
    """
    if row.values.get("tokens") is not None:
        return from_tokens(row, scheme, only_type)
    text = row.values.get("text")
    if not isinstance(text, str) or not text.strip():
        raise RowFault("E201", "the text is empty.", fix="Fill it in, or leave the row out (--bad-rows skip).",
                       field="text")
    spans = word_spans(text)
    if row.values.get("spans") is None:
        return TaggedText(row.id, text, tuple(spans), from_tokens=False)
    entities, widened = parse_spans(row.values["spans"], text, spans)
    return TaggedText(row.id, text, tuple(spans), tuple(entities), None, False, widened)


def has_untyped_tags(rows: Iterable[Row]) -> bool:
    """Whether all tags of all rows are B, I, O and the like without a type."""
    tags: set[str] = set()
    for row in rows:
        if "tags" not in row.values:
            return False
        with contextlib.suppress(RowFault):  # told row by row
            tags.update(parse_list(row.values.get("tags") or [], "tags"))
        if not tags <= UNTYPED_TAGS:
            return False
    return bool(tags & {"B", "I", "S", "U"})


def from_tokens(row: Row, scheme: str, only_type: str) -> TaggedText:
    """A list of tokens, and of tags where there are any."""
    tokens = parse_list(row.values["tokens"], "tokens")
    if not tokens or any(not token.strip() for token in tokens):
        raise RowFault("E201", f"{'there are no tokens' if not tokens else 'a token is empty'}.", field="tokens",
                       fix="Fill it in, or leave the row out (--bad-rows skip).")
    text, spans = join_words(tokens)
    cell = row.values.get("tags")
    if cell is None or (isinstance(cell, str) and not cell.strip()):
        return TaggedText(row.id, text, tuple(spans))
    tags = parse_list(cell, "tags")
    if len(tags) != len(tokens):
        raise RowFault("E301", f"there are {len(tokens)} tokens and {len(tags)} tags.", field="tags",
                       fix="Give each token one tag.")
    if only_type:
        tags = [f"{tag}-{only_type}" if tag in UNTYPED_TAGS and tag != "O" else tag for tag in tags]
    if scheme == "io":
        tags = [tag if tag == "O" or has_prefix(tag) else f"I-{tag}" for tag in tags]
    check_tags(tokens, tags, "iob1" if scheme == "io" else scheme)
    return TaggedText(row.id, text, tuple(spans), tuple(entities(tags)), tuple(tags))


def check_tags(tokens: Sequence[str], tags: Sequence[str], scheme: str) -> None:
    """Raises RowFault for what is no tag, and for tags that can be repaired in two ways."""
    any_prefix = any(map(has_prefix, tags))
    for index, tag in enumerate(tags):
        is_valid = split_tag(tag) is not None and not tag.isdecimal() and (tag == "O" or has_prefix(tag)
                                                                           or not any_prefix)
        fits = scheme == "auto" or (tag[:1] in SCHEME_PREFIXES[scheme] and (tag == "O" or has_prefix(tag)))
        if not is_valid or not fits:
            raise RowFault("E302", f"the tag of token {index} ({tokens[index]!r}) is {tag!r}, which is not a tag"
                           f"{'' if scheme == 'auto' else f' of the scheme {scheme}'}.", field="tags",
                           fix="Tags are O, or a prefix and a type: B-person, I-person. Numbers need their names.")
    ambiguous = ambiguous_word(tags)
    if ambiguous is not None:
        pair = f"{tags[ambiguous - 1]} {tags[ambiguous]}"
        raise RowFault("E307", f"at token {ambiguous} ({tokens[ambiguous]!r}) the tags {pair} lack an end and a "
                       "beginning: one entity of a wrong type, or two?", field="tags", fix="Fix one of them.")


def parse_list(value: Json, field: str) -> list[str]:
    """A list of texts: as it is, as JSON in a text, or words separated by spaces."""
    if isinstance(value, str):
        if not value.lstrip().startswith("["):
            return value.split()
        try:
            value = parse_list_text(value)
        except ValueError:
            raise RowFault("E305", f"the {field} {value!r:.60} begin like a list but are not one.", field=field,
                           fix='Write ["a", "b"], or words separated by spaces.') from None
    if not isinstance(value, list) or any(isinstance(item, list | dict) or item is None for item in value):
        raise RowFault("E305", f"the {field} are {value!r:.60}, a list of texts was expected.", field=field,
                       fix='Write ["a", "b"], or words separated by spaces.')
    return [str(item) for item in value]


def parse_spans(value: Json, text: str, word_spans: Sequence[tuple[int, int]]) -> tuple[list[Entity], int]:
    """Entities from [{"start", "end", "type"}], and how many were widened to whole words."""
    if isinstance(value, str):
        try:
            value = parse_list_text(value or "[]")
        except ValueError:
            value = None
    if not isinstance(value, list):
        raise RowFault("E303", "the spans are not a list.", field="spans",
                       fix='Write [{"start": 0, "end": 4, "type": "person"}].')
    entities, widened, previous_end = [], 0, -1
    for start, end, kind in sorted(parse_span(item, text) for item in value):
        word_range = words_in_span(word_spans, start, end)
        if word_range is None:
            raise RowFault("E303", f"the span {start} to {end} holds no word.", field="spans",
                           fix="Fix its start and end.")
        if word_range[0] < previous_end:
            raise RowFault("E304", f"the span {start} to {end} shares a word with the one before.", field="spans",
                           fix="Keep one of them.")
        widened += (word_spans[word_range[0]][0], word_spans[word_range[1] - 1][1]) != (start, end)
        previous_end = word_range[1]
        entities.append(Entity(*word_range, kind))
    return entities, widened


def parse_span(item: Json, text: str) -> tuple[int, int, str]:
    """Start, end and type of a span; raises RowFault."""
    fields = item if isinstance(item, Mapping) else {}
    start, end, kind = fields.get("start"), fields.get("end"), fields.get("type", fields.get("label"))
    if type(start) is not int or type(end) is not int or not isinstance(kind, str) or not 0 <= start < end <= len(text):
        raise RowFault("E303", f"the span {item!r:.80} is not part of the text ({len(text)} characters).",
                       field="spans", fix='A span is {"start": …, "end": …, "type": …}; characters count from 0, the '
                                          'end is not included.')
    return start, end, kind


@dataclass
class SplitStatistics:
    """Statistics of the tags and spans of a split."""

    evidence: Counter[str] = field(default_factory=Counter)
    repairs: Counter[str] = field(default_factory=Counter)  # by scheme
    types: set[str] = field(default_factory=set)
    widened: int = 0
    unlabelled: list[int] = field(default_factory=list)  # rows


def split_statistics(examples: Sequence[TaggedText]) -> SplitStatistics:
    """Count tags, repairs, types and unlabelled rows in one pass over a split."""
    statistics = SplitStatistics()
    for example in examples:
        if example.entities is None:
            statistics.unlabelled.append(example.row)
        if example.file_tags is not None:
            statistics.evidence += scheme_evidence(example.file_tags)
            statistics.repairs.update({form: count_repairs(example.file_tags, form) for form in SCHEME_PREFIXES})
        statistics.types |= {entity.type for entity in example.entities or ()}
        statistics.widened += example.widened
    return statistics


def check(splits: Mapping[str, Sequence[TaggedText]], scheme: str) -> list[Finding]:
    """Findings: rows without tags or spans, repaired tags, widened spans, types unseen in training, the scheme."""
    findings: list[Finding] = []
    train_types: set[str] | None = None
    for split, examples in splits.items():
        statistics = split_statistics(examples)
        if statistics.unlabelled:
            findings.append(Finding("E202", f"in {split}, {len(statistics.unlabelled):,} rows have neither tags nor "
                                            "spans (first: row "
                                f"{statistics.unlabelled[0]}).",
                                "Fill them in ([] where there is no entity), or leave those rows out."))
        split_scheme = detect_scheme(statistics.evidence) if scheme == "auto" else scheme
        if count := statistics.repairs[split_scheme]:
            name = SCHEME_NAMES.get(split_scheme, "BIO")
            findings.append(Finding("W210", f"in {split}, {count:,} entities are not tagged as {name} requires (an I- "
                                    "without its B-, a type that changes); each begins and ends where its type does.",
                                    "Fix the tags, if they are many."))
        if split_scheme in SCHEME_NAMES and statistics.evidence and split == "train":
            findings.append(Finding("N210", f"the tags are {SCHEME_NAMES[split_scheme]}; they are read as BIO."))
        if statistics.widened:
            findings.append(Finding("W211", f"in {split}, {statistics.widened:,} spans begin or end inside a word, or "
                                            "at a space; they "
                                    "were set to whole words.", "Fix their starts and ends, if they are many."))
        train_types = statistics.types if train_types is None else train_types
        findings += [Finding("W207", f"the type {kind!r} occurs in {split} but never in train.",
                             "The model cannot find it, and every such entity counts as missed.")
                     for kind in sorted(statistics.types - train_types)]
        if split == "train" and len(examples) and not statistics.types and not statistics.unlabelled:
            findings.append(Finding("E203", "the training rows hold no entity.", "Is this the right column of tags?"))
    return findings


def gold_tag_indices(example: TaggedText, labels: Sequence[str]) -> NDArray[np.int64]:
    """The index of each word's gold tag among the labels, (W,); -1 for one that is none of them."""
    import numpy as np

    indices = {label: index for index, label in enumerate(labels)}
    return np.asarray([indices.get(tag, -1) for tag in bio_tags(example.entities or (), len(example.word_spans))],
                      dtype=np.int64)
