"""Character offsets of a tokenizer's pieces, found by alignment where the tokenizer does not report them."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence

Span = tuple[int, int]  # characters [begin, end)
OwnedLetters = Sequence[tuple[str, int]]  # each with the index of the character or piece that it comes from
RESYNC_WINDOW = 24  # letters of both sides that are compared where they differ


def align_pieces(text: str, pieces: Sequence[str]) -> list[Span]:
    """The characters [begin, end) of each piece, in order; an empty span for a piece without characters.

    Pieces that spell the text literally get exactly their characters. Else both are compared without case, accents,
    space and invisible characters, and where a tokenizer writes something else (\u201e as ") they are aligned at the
    least cost. Accents and invisible characters belong to the piece before them; pieces may share a letter that was
    written out (\u2026 as three dots).
    """
    return literal_spans(text, pieces) or spans_by_letters(text, pieces)


def literal_spans(text: str, pieces: Sequence[str]) -> list[Span] | None:
    """The spans of pieces that are the text itself but for space; None when they are not."""
    spans, index = [], 0
    for piece in pieces:
        start = -1
        for character in piece:
            if character.isspace():
                continue
            while index < len(text) and text[index].isspace():
                index += 1
            if index == len(text) or text[index] != character:
                return None
            start, index = (index if start < 0 else start), index + 1
        spans.append((start if start >= 0 else index, index))
    return None if text[index:].strip() else spans


def spans_by_letters(text: str, pieces: Sequence[str]) -> list[Span]:
    """The spans of pieces that write the text in other letters."""
    text_letters, piece_letters = owned_letters(text), owned_letters(pieces)
    spans: list[Span | None] = [None] * len(pieces)

    def widen(piece: int, first: int, last: int) -> None:
        """Add letters first to last of the text to a piece."""
        span = spans[piece] or (text_letters[first][1], 0)
        spans[piece] = (min(span[0], text_letters[first][1]), max(span[1], text_letters[last][1] + 1))

    text_index = piece_index = 0
    while text_index < len(text_letters) and piece_index < len(piece_letters):
        if text_letters[text_index][0] == piece_letters[piece_index][0]:
            widen(piece_letters[piece_index][1], text_index, text_index)
            text_index, piece_index = text_index + 1, piece_index + 1
            continue
        text_skip, piece_skip = resynchronise(text_letters[text_index:text_index + RESYNC_WINDOW],
                                              piece_letters[piece_index:piece_index + RESYNC_WINDOW])
        for letter in range(piece_skip if text_skip else 0):  # what was written otherwise covers all that was skipped
            widen(piece_letters[piece_index + letter][1], text_index, text_index + text_skip - 1)
        text_index, piece_index = text_index + text_skip, piece_index + piece_skip
    return fill_missing([None if span is None else extend_span(text, span) for span in spans])


def owned_letters(parts: Iterable[str]) -> list[tuple[str, int]]:
    """The plain letters of all parts, each with the index of its part."""
    return [(letter, index) for index, part in enumerate(parts) for character in part
            for letter in plain_letters(character)]


def plain_letters(character: str) -> str:
    """A character without case and accents, taken apart (\u00bd as 1\u20442); "" for space and for invisible
    characters.
    """
    if character.isascii():
        return character.lower() if character.isprintable() and not character.isspace() else ""
    if is_invisible(character):
        return ""
    decomposed = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", character).casefold())
    return "".join(letter for letter in decomposed if not is_invisible(letter)) or character


def is_invisible(character: str) -> bool:
    """Accents, space, and characters that show nothing; a spacing vowel sign is visible."""
    category = unicodedata.category(character)
    return category[0] in "CZ" or category in ("Mn", "Me")


def resynchronise(text_letters: OwnedLetters, piece_letters: OwnedLetters) -> tuple[int, int]:
    """How many letters of both to skip until they agree, on the cheapest path (letters substituted, deleted, inserted).

    The path may end anywhere on the far border of the window; it goes as far as both reach.
    """
    width = len(piece_letters) + 1
    costs = [list(range(width))]
    for row, (letter, _) in enumerate(text_letters, 1):
        row_costs = [row]
        for column, (piece_letter, _) in enumerate(piece_letters, 1):
            row_costs.append(min(costs[row - 1][column - 1] + (letter != piece_letter), costs[row - 1][column] + 1,
                                 row_costs[-1] + 1))
        costs.append(row_costs)
    border = [(costs[-1][column], column != width - 1, len(text_letters), column) for column in range(width)]
    if len(text_letters) == RESYNC_WINDOW or len(piece_letters) == RESYNC_WINDOW:
        border += [(costs[row][-1], True, row, width - 1) for row in range(len(text_letters))]
    else:
        border = border[-1:]
    _, _, row, column = min(border)
    meeting_point = (row, column)
    while row and column:
        if costs[row][column] == costs[row - 1][column - 1] + (text_letters[row - 1][0]
                                                               != piece_letters[column - 1][0]):
            row, column = row - 1, column - 1
            meeting_point = (row, column) if text_letters[row][0] == piece_letters[column][0] else meeting_point
        elif costs[row][column] == costs[row - 1][column] + 1:
            row -= 1
        else:
            column -= 1
    return meeting_point if meeting_point != (0, 0) else (1, 1)


def fill_missing(spans: Sequence[Span | None]) -> list[Span]:
    """Pieces without characters get the empty span after the piece before them."""
    complete: list[Span] = []
    for span in spans:
        position = complete[-1][1] if complete else 0
        complete.append(span if span is not None else (position, position))
    return complete


def extend_span(text: str, span: Span) -> Span:
    """The span with the accents and invisible characters that follow."""
    start, end = span
    while start < end < len(text) and not text[end].isspace() and not plain_letters(text[end]):
        end += 1
    return start, end
