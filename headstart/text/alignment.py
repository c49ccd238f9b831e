"""Words, characters and model tokens of a text: which belong together."""

from __future__ import annotations

import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Spans = Sequence[tuple[int, int]]  # characters [begin, end) of each word
# Thai, Lao, Myanmar, Khmer: scripts without space between words whose letters are not wide.
UNSPACED_RANGES = ((0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF))


def word_spans(text: str) -> list[tuple[int, int]]:
    """Characters of each word: letters and digits together; each other character, and each letter of an unspaced
    script, alone.

    Accents and vowel signs stay with the letter before them: "Ann's 5kg!" -> Ann ' s 5kg !
    """
    spans: list[tuple[int, int]] = []
    word_continues = False  # whether the next letter would belong to the last word
    for index, character in enumerate(text):
        adjacent = bool(spans) and spans[-1][1] == index
        is_letter = (character.isalnum() or character == "_") and not is_unspaced_letter(character)
        if character.isspace():
            word_continues = False
        elif adjacent and ((is_letter and word_continues) or unicodedata.category(character)[0] == "M"):
            spans[-1] = (spans[-1][0], index + 1)
        else:
            spans.append((index, index + 1))
            word_continues = is_letter
    return spans


def is_unspaced_letter(letter: str) -> bool:
    """Whether a letter is of a script that puts no space between words."""
    if letter.isascii():
        return False
    return unicodedata.east_asian_width(letter) == "W" or any(low <= ord(letter) <= high
                                                              for low, high in UNSPACED_RANGES)


def join_words(words: Sequence[str]) -> tuple[str, list[tuple[int, int]]]:
    """The words with a space between them as one text, and the characters of each word."""
    spans, start = [], 0
    for word in words:
        spans.append((start, start + len(word)))
        start += len(word) + 1
    return " ".join(words), spans


def words_in_span(spans: Spans, start: int, end: int) -> tuple[int, int] | None:
    """The words [first, last) that characters [begin, end) touch; None for none."""
    first = bisect_right(spans, start, key=lambda word: word[1])
    last = bisect_left(spans, end, key=lambda word: word[0])
    return (first, last) if last > first else None


@dataclass(frozen=True)
class WordAlignment:
    """The tokens of each word, [first, last]; a word may have none.

    It has none where the tokenizer drops its characters, and where a token that begins in an earlier word (BPE's 's)
    covers them: then `held_by` says which word that is.
    """

    first_tokens: Sequence[int]  # -1 for none
    last_tokens: Sequence[int]
    covering_words: Mapping[int, int]

    @property
    def words_with_tokens(self) -> list[int]:
        """The words that have tokens."""
        return [word for word, token in enumerate(self.first_tokens) if token >= 0]


def align(text: str, spans: Spans, offsets: Spans) -> WordAlignment:
    """Give each token, by its characters, to the word in which it begins; a token of mere space belongs to none."""
    first_tokens, last_tokens = [-1] * len(spans), [-1] * len(spans)
    covering_words: dict[int, int] = {}
    word = 0
    for token, (start, end) in enumerate(offsets):
        while start < end and text[start].isspace():
            start += 1
        while word < len(spans) and spans[word][1] <= start:
            word += 1
        if start >= end or word == len(spans) or spans[word][0] >= end:
            continue
        first_tokens[word] = token if first_tokens[word] < 0 else first_tokens[word]
        last_tokens[word] = token
        later = word + 1
        while later < len(spans) and spans[later][0] < end:
            covering_words[later] = word
            later += 1
    return WordAlignment(first_tokens, last_tokens,
                         {later: word for later, word in covering_words.items() if first_tokens[later] < 0})
