"""A written text in pieces: what is copied from its source, and which numbers and names its source lacks."""

from __future__ import annotations

from headstart.metrics.text_quality import (
    COPIED_SIZE,
    NUMBER,
    copied_words,
    number_form,
    unsupported_names,
    unsupported_numbers,
)
from headstart.text.words import WORD, tokenize_words

COPIED, UNSUPPORTED = "copied", "unsupported"
MEANINGS = {COPIED: f"copied: in a run of at least {COPIED_SIZE} words of the source",
            UNSUPPORTED: "unsupported: a number or a name that the source lacks"}


def marked_pieces(text: str, source: str) -> list[tuple[str, str]]:
    """The text as (piece, mark) from its first character to its last; the mark is "", copied or unsupported.

    The marks are what `copied`, `unsupported_numbers` and `unsupported_names` of text_quality count.
    """
    matches = list(WORD.finditer(text))
    token_flags = iter(copied_words(tokenize_words(text), tokenize_words(source)).tolist())
    # A word is one token or more: in lower case the dot of İ stands by itself, and parts what is around it.
    is_copied = [min(next(token_flags) for _ in tokenize_words(match.group())) for match in matches]
    numbers, names = set(unsupported_numbers(text, source)), set(unsupported_names(text, source))
    spans = [(match.start(), match.end(), UNSUPPORTED if match.group() in names else COPIED if copied else "")
             for match, copied in zip(matches, is_copied, strict=True)]
    number_spans = [match.span() for match in NUMBER.finditer(text) if number_form(match.group()) in numbers]
    pieces: list[tuple[str, str]] = []
    end = 0
    for start, stop, mark in spans:
        if any(first < stop and start < last for first, last in number_spans):
            mark = UNSUPPORTED
        gap = text[end:start]
        if pieces and mark == pieces[-1][1] == COPIED and "\n" not in gap:
            pieces[-1] = (pieces[-1][0] + gap + text[start:stop], mark)
        else:
            pieces += [(gap, ""), (text[start:stop], mark)] if gap else [(text[start:stop], mark)]
        end = stop
    return [*pieces, (text[end:], "")] if text[end:] else pieces
