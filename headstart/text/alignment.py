"""Words, characters and model tokens: which belong together."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence

WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|\w+|[^\w\s]")


def words_of(text: str) -> list[tuple[int, int]]:
    """Characters of each word: letters and digits together, each sign alone, each Chinese, Japanese or Korean letter alone."""
    return [found.span() for found in WORD.finditer(text)]


def joined(words: Sequence[str]) -> tuple[str, list[tuple[int, int]]]:
    """Words with a blank between them, and the characters of each."""
    places, at = [], 0
    for word in words:
        places.append((at, at + len(word)))
        at += len(word) + 1
    return " ".join(words), places


def words_in(places: Sequence[tuple[int, int]], begin: int, end: int) -> tuple[int, int] | None:
    """The words [first, last) that characters [begin, end) touch; None for none."""
    first = bisect_right([one[1] for one in places], begin)
    last = first
    while last < len(places) and places[last][0] < end:
        last += 1
    return (first, last) if last > first else None


def tokens_of_words(offsets: Sequence[tuple[int, int]], places: Sequence[tuple[int, int]]) -> list[list[int]]:
    """The tokens of each word, in order; empty for a word that became none (a sign that the tokenizer drops).

    A token belongs to the first word that it shares a character with.
    """
    found: list[list[int]] = [[] for _ in places]
    word = 0
    for token, (begin, end) in enumerate(offsets):
        while word < len(places) and places[word][1] <= begin:
            word += 1
        if word < len(places) and places[word][0] < end and end > begin:
            found[word].append(token)
    return found
