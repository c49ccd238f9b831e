"""Windows of a text as model input: each word is labelled and predicted in one of them.

L tokens of a feature, W words, C tags.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any

from headstart.contract import Feature, Target, Tokenizer
from headstart.tasks.token_tagging.reading import TaggedText
from headstart.text.alignment import WordAlignment, align
from headstart.text.tags import Entity
from headstart.text.windows import windows

NO_TARGET = -100
Window = tuple[int, int]


def window_features(example: TaggedText, tokenizer: Tokenizer, label_indices: Mapping[str, int], *, overlap: int,
                    label_all_tokens: bool, predicting: bool) -> list[Feature]:
    """The windows of a text, with a label for the first token of each word (or every token) in the window with most
    context.
    """
    tokens = tokenizer.tokenize(example.text)
    alignment = align(example.text, example.word_spans, tokens.offsets or ())
    max_tokens, content_start = tokenizer.max_content_length(1), tokenizer.with_special_tokens([-1])[0].index(-1)
    window_list = windows(len(tokens.ids), max_tokens, min(overlap, max_tokens // 2))
    words_by_window: list[list[int]] = [[] for _ in window_list]
    for word in alignment.words_with_tokens:
        words_by_window[widest_context_window(window_list, alignment.first_tokens[word],
                                              alignment.last_tokens[word])].append(word)
    tags = word_tags(example.entities, alignment, len(example.word_spans)) if example.entities is not None else []
    feature_list = []
    for window_words, (start, end) in zip(words_by_window, window_list, strict=True):
        ids, types = tokenizer.with_special_tokens(tokens.ids[start:end])
        label_ids = array("i", [NO_TARGET]) * len(ids)
        for word in window_words if tags else ():
            first, last = alignment.first_tokens[word], min(alignment.last_tokens[word], end - 1)
            label_ids[first - start + content_start] = label_indices.get(tags[word], NO_TARGET)
            for token in range(first + 1, last + 1 if label_all_tokens else 0):
                label_ids[token - start + content_start] = label_indices.get(continuation_tag(tags[word]), NO_TARGET)
        info: dict[str, Any] = {}
        if predicting:
            positions = [alignment.first_tokens[word] - start + content_start for word in window_words]
            info = {"words": window_words, "positions": positions, "covering_words": alignment.covering_words}
        targets = {"label": Target(label_ids, "token")} if tags else {}
        feature_list.append(Feature(ids, types, targets, weight=1 / len(window_list), info=info))
    return feature_list


def continuation_tag(tag: str) -> str:
    """The tag of a word's later tokens."""
    return tag if tag == "O" else f"I-{tag[2:]}"


def widest_context_window(windows: Sequence[Window], first: int, last: int) -> int:
    """The window, of those that contain a word's first token, in which its tokens are furthest from the border.

    The start and the end of the text are no borders. Of equals the first.
    """
    index = bisect_right(windows, first, key=lambda window: window[1])
    best_index, best_margin = index, -math.inf
    while index < len(windows) and windows[index][0] <= first:
        left_margin = first - windows[index][0] if index else math.inf
        right_margin = windows[index][1] - 1 - last if index < len(windows) - 1 else math.inf
        if min(left_margin, right_margin) > best_margin:
            best_index, best_margin = index, min(left_margin, right_margin)
        index += 1
    return best_index


def word_tags(entities: Sequence[Entity], alignment: WordAlignment, word_count: int) -> list[str]:
    """BIO tags of the words; an entity begins at its first word that has tokens."""
    tags = ["O"] * word_count
    for entity in entities:
        prefix = "B"
        for word in range(entity.begin, entity.end):
            if alignment.first_tokens[word] >= 0:
                tags[word] = f"{prefix}-{entity.type}"
                prefix = "I"
    return tags
