"""A text, or a pair of texts, as model input: shared by all tasks on whole texts."""

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
FIRST_NAMES = ("sentence1", "premise", "text1", "question1", "first", "#1 string")
PAIR_NAMES = ("pair", "sentence2", "hypothesis", "hypo", "text2", "question2", "second", "#2 string")
TEXT_FIELDS = (
    Field("text", "the text", aliases=TEXT_NAMES),
    Field("pair", "a second text that belongs to it", required=False, aliases=("pair",)),
)


@dataclass(frozen=True)
class LongTexts:
    """Settings of tasks on whole texts."""

    long_texts: Annotated[
        Literal["truncate", "head-tail", "windows"],
        Note("a text longer than the model input is cut, keeps its head and tail, or is read in windows")] = "truncate"
    overlap: Annotated[int, Note("tokens that neighbouring windows share", low=0)] = 32


@dataclass(frozen=True)
class TextPair(Example):
    """A text, and its pair where it has one."""

    text: str
    pair: str | None = None

    @property
    def joined_text(self) -> str:
        """The text, with its pair on a line of its own."""
        return self.text if self.pair is None else f"{self.text}\n{self.pair}"


def cell_text(row: Row, field: str) -> str | None:
    """The cell as text, as the user wrote it; None where there is none."""
    value = row.values.get(field)
    return value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def texts_of(row: Row) -> tuple[str, str | None]:
    """Text and pair of a row; raises RowFault where one is empty."""
    only_text = row.values.get("text")
    if isinstance(only_text, str) and only_text and not only_text.isspace() and "pair" not in row.values:
        return only_text, None  # nearly every row, and a third of the time that a check takes
    texts = []
    for name in ("text", "pair"):
        value = cell_text(row, name)
        if (name == "text" or name in row.values) and (value is None or not value.strip()):
            raise RowFault("E201", f"the {name} is empty.", fix="Fill it in, or leave the row out (--bad-rows skip).",
                           field=name)
        texts.append(value)
    text, pair = texts
    assert text is not None
    return text, pair


def text_features(example: TextPair, targets: Mapping[str, Target], tokenizer: Tokenizer,
                  settings: LongTexts) -> list[Feature]:
    """One feature, or one for each window of a long text; each has the targets."""
    text_ids = tokenizer.tokenize(example.text).ids
    pair_ids = tokenizer.tokenize(example.pair).ids if example.pair is not None else None
    segment_lists, cut = fit_segments(text_ids, pair_ids, tokenizer.max_content_length(1 if pair_ids is None else 2),
                                      settings)
    feature_list = []
    for segments in segment_lists:
        ids, types = tokenizer.with_special_tokens(*segments)
        feature_list.append(Feature(ids, types, targets, weight=1 / len(segment_lists), truncated_tokens=cut))
    return feature_list


def fit_segments(text_ids: Sequence[int], pair_ids: Sequence[int] | None, max_tokens: int,
        settings: LongTexts) -> tuple[list[list[Sequence[int]]], int]:
    """The texts cut into segments that fit, and how many tokens are in none. A pair is always truncated, the longer
    text first."""
    if pair_ids is not None:
        lengths, cut = truncated_lengths(len(text_ids), len(pair_ids), max_tokens)
        return [[text_ids[:lengths[0]], pair_ids[:lengths[1]]]], cut
    if len(text_ids) <= max_tokens:
        return [[text_ids]], 0
    if settings.long_texts == "windows":
        overlap = min(settings.overlap, max_tokens - 1)
        return [[text_ids[start:end]] for start, end in windows(len(text_ids), max_tokens, overlap)], 0
    if settings.long_texts == "head-tail":
        spans = head_tail(len(text_ids), max_tokens)
        return [[[token for start, end in spans for token in text_ids[start:end]]]], len(text_ids) - max_tokens
    return [[text_ids[:max_tokens]]], len(text_ids) - max_tokens


def truncated_lengths(first_length: int, second_length: int, max_tokens: int) -> tuple[tuple[int, int], int]:
    """The lengths of two texts truncated to `max_tokens` together, the longer one first; and how many tokens are cut.

    truncated_lengths(10, 4, 12) -> (8, 4), 2
    """
    cut = max(0, first_length + second_length - max_tokens)
    shared_cut = max(0, cut - abs(first_length - second_length))  # cut in turn, once both are equally long
    shorter_length = min(first_length, second_length)
    longer_length = max(shorter_length, max(first_length, second_length) - cut) if not shared_cut else shorter_length
    return (min(first_length, longer_length) - (shared_cut + 1) // 2,
            min(second_length, longer_length) - shared_cut // 2), cut
