"""A text, or a pair of texts, as model input: what every task on whole texts shares."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from headstart.contract import Example, Feature, Field, Row, RowFault, Target, Tokenizer
from headstart.settings import Note
from headstart.text.windows import head_tail, windows

TEXT_NAMES = ("text", "sentence", "review", "content", "comment", "comment_text", "tweet", "message", "body",
              "document", "query", "utterance", "question", "title", "description")
FIRST_NAMES = ("sentence1", "premise", "text1", "question1", "first")
PAIR_NAMES = ("pair", "sentence2", "hypothesis", "hypo", "text2", "question2", "second")
TEXT_FIELDS = (
    Field("text", "the text", usual=TEXT_NAMES),
    Field("pair", "a second text that belongs to it", required=False, usual=("pair",)),
)


@dataclass(frozen=True)
class LongTexts:
    """What a task on whole texts can be told."""

    long_texts: Annotated[
        Literal["truncate", "head-tail", "windows"],
        Note("a text longer than the model input is cut, keeps its head and tail, or is read in windows")] = "truncate"
    overlap: Annotated[int, Note("tokens that neighbouring windows share", low=0)] = 32


@dataclass(frozen=True)
class Texts(Example):
    """A text, and its pair where it has one."""

    text: str
    pair: str | None = None

    @property
    def both(self) -> str:
        """The text, with its pair on a line of its own."""
        return self.text if self.pair is None else f"{self.text}\n{self.pair}"


def plain(row: Row, field: str) -> str | None:
    """The field as text, as the user wrote it; None where there is none."""
    value = row.values.get(field)
    return value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def texts_of(row: Row) -> tuple[str, str | None]:
    """Text and pair of a row; raises RowFault where one is empty."""
    found = []
    for name in ("text", "pair"):
        value = plain(row, name)
        if (name == "text" or name in row.values) and (value is None or not value.strip()):
            raise RowFault("E201", f"the {name} is empty.", fix="Fill it in, or leave the row out (--bad-rows skip).",
                           field=name)
        found.append(value)
    text, pair = found
    assert text is not None
    return text, pair


def features(example: Texts, targets: Mapping[str, Target], tokenizer: Tokenizer, settings: LongTexts) -> list[Feature]:
    """One feature, or one for each window of a long text; each has the targets."""
    first = tokenizer.tokenize(example.text).ids
    second = tokenizer.tokenize(example.pair).ids if example.pair is not None else None
    parts, cut = fit(first, second, tokenizer.room(1 if second is None else 2), settings)
    made = []
    for pieces in parts:
        ids, types = tokenizer.lay_out(*pieces)
        made.append(Feature(ids, types, targets, weight=1 / len(parts), cut=cut))
    return made


def fit(first: Sequence[int], second: Sequence[int] | None, room: int,
        settings: LongTexts) -> tuple[list[list[Sequence[int]]], int]:
    """The texts cut into parts that fit, and how many tokens no part holds. A pair is always truncated, the longer
    text first."""
    if second is not None:
        kept, cut = truncated(len(first), len(second), room)
        return [[first[:kept[0]], second[:kept[1]]]], cut
    if len(first) <= room:
        return [[first]], 0
    if settings.long_texts == "windows":
        overlap = min(settings.overlap, room - 1)
        return [[first[begin:end]] for begin, end in windows(len(first), room, overlap)], 0
    if settings.long_texts == "head-tail":
        pieces = head_tail(len(first), room)
        return [[[token for begin, end in pieces for token in first[begin:end]]]], len(first) - room
    return [[first[:room]]], len(first) - room


def truncated(first: int, second: int, room: int) -> tuple[tuple[int, int], int]:
    """How much is kept of two texts that share a room, the longer one cut first; and how much is cut.

    truncated(10, 4, 12) -> (8, 4), 2
    """
    cut = max(0, first + second - room)
    rest = max(0, cut - abs(first - second))  # cut in turn, once both are equally long
    top = max(min(first, second), max(first, second) - cut) if not rest else min(first, second)
    return (min(first, top) - (rest + 1) // 2, min(second, top) - rest // 2), cut
