"""The characters of a tokenizer's pieces, found again where the tokenizer does not tell them."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence

Span = tuple[int, int]  # characters [begin, end)
Letters = Sequence[tuple[str, int]]  # each with the character or the piece that it comes from
REACH = 24  # letters of both sides that are looked at where they part


def align_pieces(text: str, pieces: Sequence[str]) -> list[Span]:
    """The characters [begin, end) of each piece, in order; an empty place for a piece that nothing stands for.

    Pieces that spell the text literally get exactly their characters. Else both are compared without case, accents,
    space and what is not seen, and where a tokenizer writes something else (\u201e as ") they are brought together at the
    least cost. Accents and unseen marks belong to the piece before them; pieces may share a letter that was written out
    (\u2026 as three dots).
    """
    return literal(text, pieces) or by_letters(text, pieces)


def literal(text: str, pieces: Sequence[str]) -> list[Span] | None:
    """The places of pieces that are the text itself but for space; None when they are not."""
    found, at = [], 0
    for piece in pieces:
        begin = -1
        for mark in piece:
            if mark.isspace():
                continue
            while at < len(text) and text[at].isspace():
                at += 1
            if at == len(text) or text[at] != mark:
                return None
            begin, at = (at if begin < 0 else begin), at + 1
        found.append((begin if begin >= 0 else at, at))
    return None if text[at:].strip() else found


def by_letters(text: str, pieces: Sequence[str]) -> list[Span]:
    """The places of pieces that say the text in other letters."""
    mine, theirs = letters(text), letters(pieces)
    spans: list[Span | None] = [None] * len(pieces)

    def give(number: int, first: int, last: int) -> None:
        """Letters first to last of the text belong to a piece."""
        known = spans[number] or (mine[first][1], 0)
        spans[number] = (min(known[0], mine[first][1]), max(known[1], mine[last][1] + 1))

    here = there = 0
    while here < len(mine) and there < len(theirs):
        if mine[here][0] == theirs[there][0]:
            give(theirs[there][1], here, here)
            here, there = here + 1, there + 1
            continue
        skipped, written = meeting(mine[here:here + REACH], theirs[there:there + REACH])
        for letter in range(written if skipped else 0):  # what was written otherwise stands for all that was skipped
            give(theirs[there + letter][1], here, here + skipped - 1)
        here, there = here + skipped, there + written
    return filled([None if span is None else grown(text, span) for span in spans])


def letters(parts: Iterable[str]) -> list[tuple[str, int]]:
    """The plain letters of all parts, each with the number of its part."""
    return [(letter, number) for number, part in enumerate(parts) for mark in part for letter in plain_letters(mark)]


def plain_letters(mark: str) -> str:
    """A character without case and accents, taken apart (\u00bd as 1\u20442); "" for space and for what is not seen."""
    if mark.isascii():
        return mark.lower() if mark.isprintable() and not mark.isspace() else ""
    if unseen(mark):
        return ""
    apart = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", mark).casefold())
    return "".join(letter for letter in apart if not unseen(letter)) or mark


def unseen(mark: str) -> bool:
    """Accents, space, and characters that show nothing; a vowel sign with a place of its own is seen."""
    kind = unicodedata.category(mark)
    return kind[0] in "CZ" or kind in ("Mn", "Me")


def meeting(mine: Letters, theirs: Letters) -> tuple[int, int]:
    """How many letters of both to pass by until they agree, on the cheapest way (letters changed, left out, added).

    The way may end anywhere on the far border of what is looked at; it goes as far as both reach.
    """
    width = len(theirs) + 1
    cost = [list(range(width))]
    for row, (letter, _) in enumerate(mine, 1):
        line = [row]
        for column, (other, _) in enumerate(theirs, 1):
            line.append(min(cost[row - 1][column - 1] + (letter != other), cost[row - 1][column] + 1, line[-1] + 1))
        cost.append(line)
    border = [(cost[-1][column], column != width - 1, len(mine), column) for column in range(width)]
    if len(mine) == REACH or len(theirs) == REACH:
        border += [(cost[row][-1], True, row, width - 1) for row in range(len(mine))]
    else:
        border = border[-1:]
    _, _, row, column = min(border)
    met = (row, column)
    while row and column:
        if cost[row][column] == cost[row - 1][column - 1] + (mine[row - 1][0] != theirs[column - 1][0]):
            row, column = row - 1, column - 1
            met = (row, column) if mine[row][0] == theirs[column][0] else met
        elif cost[row][column] == cost[row - 1][column] + 1:
            row -= 1
        else:
            column -= 1
    return met if met != (0, 0) else (1, 1)


def filled(spans: Sequence[Span | None]) -> list[Span]:
    """Pieces that nothing stands for get the empty place after the piece before them."""
    found: list[Span] = []
    for span in spans:
        at = found[-1][1] if found else 0
        found.append(span if span is not None else (at, at))
    return found


def grown(text: str, span: Span) -> Span:
    """With the accents and unseen marks that follow."""
    begin, end = span
    while begin < end < len(text) and not text[end].isspace() and not plain_letters(text[end]):
        end += 1
    return begin, end
