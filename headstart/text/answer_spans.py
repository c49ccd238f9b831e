"""Where an answer stands in its passage: offsets are found, and repaired where that is safe."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass


@dataclass(frozen=True)
class Found:
    """Characters [begin, end) of a passage; `repair` says in words what had to be mended, "" for nothing."""

    begin: int
    end: int
    repair: str = ""


def locate(passage: str, answer: str, start: int | None) -> Found | None:
    """The answer's place: where `start` says, else the nearest (without start: the first) that reads the same.

    Then the same but for case, space and accent form. None where the passage does not hold it.
    """
    if start is not None and start >= 0 and passage.startswith(answer, start):
        return Found(start, start + len(answer))
    places = occurrences(passage, answer)
    if places:
        if start is not None:
            best = min(places, key=lambda place: (abs(place - start), place))
            return Found(best, best + len(answer), "moved")
        places = [place for place in places if alone(passage, place, place + len(answer))] or places
        return Found(places[0], places[0] + len(answer), "" if len(places) == 1 else "first of several")
    plain, where = simplified(passage)
    wanted = simplified(answer)[0].strip()
    loose = occurrences(plain, wanted) if wanted else []
    if not loose:
        return None
    at = min(loose, key=lambda place: abs(where[place] - start)) if start is not None else loose[0]
    return Found(where[at], where[at + len(wanted) - 1] + width(passage, where[at + len(wanted) - 1]), "another form")


def alone(passage: str, begin: int, end: int) -> bool:
    """Whether no word goes on beyond the borders of a part."""
    before = begin > 0 and passage[begin - 1].isalnum() and passage[begin].isalnum()
    after = end < len(passage) and passage[end].isalnum() and passage[end - 1].isalnum()
    return not before and not after


def occurrences(passage: str, answer: str) -> list[int]:
    """Every place where the answer begins."""
    found, at = [], passage.find(answer) if answer else -1
    while at >= 0:
        found.append(at)
        at = passage.find(answer, at + 1)
    return found


def simplified(text: str) -> tuple[str, list[int]]:
    """The text in small letters, accents composed, any space as one blank; and the place that each character came from."""
    marks: list[str] = []
    where: list[int] = []
    at = 0
    while at < len(text):
        size = width(text, at)
        part = unicodedata.normalize("NFKC", text[at:at + size]).lower()
        for mark in part:
            if mark.isspace():
                if marks and marks[-1] == " ":
                    continue
                mark = " "
            marks.append(mark)
            where.append(at)
        at += size
    return "".join(marks), where


def width(text: str, at: int) -> int:
    """How many characters the letter at a place takes, with the accents that follow it."""
    size = 1
    while at + size < len(text) and unicodedata.combining(text[at + size]):
        size += 1
    return size
