"""The characters of an answer in its passage: offsets are found, and repaired where that is safe."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

from headstart.text.normalise import compose

MAX_OCCURRENCES = 1000  # in a passage of one letter repeated each place would be compared in full


@dataclass(frozen=True)
class AnswerSpan:
    """Characters [begin, end) of a passage; `repair` says in words what had to be repaired, "" for nothing."""

    begin: int
    end: int
    repair: str = ""


def find_answer(passage: str, answer: str, start: int | None) -> AnswerSpan | None:
    """The answer's span: at `start`, else the nearest (without start: the first) occurrence.

    Then the same but for case, space and accent form. None where the passage does not contain it.
    """
    if start is not None and start >= 0 and passage.startswith(answer, start):
        return AnswerSpan(start, start + len(answer))
    starts = occurrences(passage, answer)
    if starts:
        if start is not None:
            nearest = min(starts, key=lambda position: (abs(position - start), position))
            return AnswerSpan(nearest, nearest + len(answer), "moved")
        starts = [position for position in starts if is_whole_words(passage, position,
                                                                    position + len(answer))] or starts
        return AnswerSpan(starts[0], starts[0] + len(answer), "" if len(starts) == 1 else "first of several")
    folded_passage, offsets = fold_with_offsets(passage)
    folded_answer = fold_with_offsets(answer)[0].strip()
    folded_starts = occurrences(folded_passage, folded_answer) if folded_answer else []
    if not folded_starts:
        return None
    match = min(folded_starts, key=lambda position: abs(offsets[position]
                                                        - start)) if start is not None else folded_starts[0]
    last = offsets[match + len(folded_answer) - 1]
    return AnswerSpan(offsets[match], last + grapheme_length(passage, last), "another form")


def is_whole_words(passage: str, start: int, end: int) -> bool:
    """Whether a span cuts no word at its borders."""
    cuts_before = start > 0 and passage[start - 1].isalnum() and passage[start].isalnum()
    cuts_after = end < len(passage) and passage[end].isalnum() and passage[end - 1].isalnum()
    return not cuts_before and not cuts_after


def occurrences(passage: str, answer: str) -> list[int]:
    """Every position where the answer begins, of more than 1,000 the first."""
    starts: list[int] = []
    start = passage.find(answer) if answer else -1
    while start >= 0 and len(starts) < MAX_OCCURRENCES:
        starts.append(start)
        start = passage.find(answer, start + 1)
    return starts


def fold_with_offsets(text: str) -> tuple[str, list[int]]:
    """The text in lower case, accents composed, any space as one; and the offset of each character in the text."""
    characters: list[str] = []
    offsets: list[int] = []
    index = 0
    while index < len(text):
        size = grapheme_length(text, index)
        folded = compose(text[index:index + size]).lower()
        for character in folded:
            if character.isspace():
                if characters and characters[-1] == " ":
                    continue
                character = " "
            characters.append(character)
            offsets.append(index)
        index += size
    return "".join(characters), offsets


def grapheme_length(text: str, index: int) -> int:
    """How many characters the letter at an index takes, with the combining accents that follow it."""
    size = 1
    while index + size < len(text) and unicodedata.combining(text[index + size]):
        size += 1
    return size
