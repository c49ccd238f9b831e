"""Words, characters and model tokens of a text: which belong together."""

from __future__ import annotations

import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Places = Sequence[tuple[int, int]]  # characters [begin, end) of each word
# Thai, Lao, Myanmar, Khmer: scripts without space between words whose letters are not wide.
UNSPACED = ((0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF))


def words_of(text: str) -> list[tuple[int, int]]:
    """Characters of each word: letters and digits together; each other sign, and each letter of an unspaced script, alone.

    Accents and vowel signs stay with the letter before them: "Ann's 5kg!" -> Ann ' s 5kg !
    """
    found: list[tuple[int, int]] = []
    grows = False  # whether the last word may go on
    for place, mark in enumerate(text):
        touches = bool(found) and found[-1][1] == place
        letter = (mark.isalnum() or mark == "_") and not stands_alone(mark)
        if mark.isspace():
            grows = False
        elif touches and ((letter and grows) or unicodedata.category(mark)[0] == "M"):
            found[-1] = (found[-1][0], place + 1)
        else:
            found.append((place, place + 1))
            grows = letter
    return found


def stands_alone(letter: str) -> bool:
    """Whether a letter's script puts no space between words."""
    if letter.isascii():
        return False
    return unicodedata.east_asian_width(letter) == "W" or any(low <= ord(letter) <= high for low, high in UNSPACED)


def joined(words: Sequence[str]) -> tuple[str, list[tuple[int, int]]]:
    """Words with a blank between them, and the characters of each."""
    places, at = [], 0
    for word in words:
        places.append((at, at + len(word)))
        at += len(word) + 1
    return " ".join(words), places


def words_in(places: Places, begin: int, end: int) -> tuple[int, int] | None:
    """The words [first, last) that characters [begin, end) touch; None for none."""
    first = bisect_right(places, begin, key=lambda word: word[1])
    last = bisect_left(places, end, key=lambda word: word[0])
    return (first, last) if last > first else None


@dataclass(frozen=True)
class Aligned:
    """The tokens of each word, [first, last]; a word may have none.

    It has none where the tokenizer drops its signs, and where a token that begins in an earlier word (BPE's 's) holds
    them: then `held_by` says which word that is.
    """

    first: Sequence[int]  # -1 for none
    last: Sequence[int]
    held_by: Mapping[int, int]

    @property
    def spoken(self) -> list[int]:
        """The words that have tokens."""
        return [word for word, token in enumerate(self.first) if token >= 0]


def align(text: str, places: Places, offsets: Places) -> Aligned:
    """Give each token, by its characters, to the word in which it begins; a token of mere space belongs to none."""
    first, last = [-1] * len(places), [-1] * len(places)
    held_by: dict[int, int] = {}
    word = 0
    for token, (begin, end) in enumerate(offsets):
        while begin < end and text[begin].isspace():
            begin += 1
        while word < len(places) and places[word][1] <= begin:
            word += 1
        if begin >= end or word == len(places) or places[word][0] >= end:
            continue
        first[word] = token if first[word] < 0 else first[word]
        last[word] = token
        later = word + 1
        while later < len(places) and places[later][0] < end:
            held_by[later] = word
            later += 1
    return Aligned(first, last, {later: word for later, word in held_by.items() if first[later] < 0})
