"""A long text in parts that fit, cut between sentences; nothing is lost."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from headstart.text.sentences import sentence_spans


def chunks(text: str, size: Callable[[str], int], room: int) -> list[str]:
    """Parts of a text whose `size` is at most `room`, each as long as it may be.

    Cut between sentences; a sentence that is longer by itself between words, and a word that is longer between letters.
    """
    spans = [span for begin, end in sentence_spans(text) for span in fitting(text, begin, end, size, room)]
    found: list[tuple[int, int]] = []
    for begin, end in spans:
        if found and size(text[found[-1][0]:end]) <= room:
            found[-1] = (found[-1][0], end)
        else:
            found.append((begin, end))
    return [text[begin:end] for begin, end in found]


def fitting(text: str, begin: int, end: int, size: Callable[[str], int], room: int) -> Iterator[tuple[int, int]]:
    """One sentence, or its parts where it is too long by itself."""
    if size(text[begin:end]) <= room:
        yield begin, end
        return
    for word in re.finditer(r"\S+", text[begin:end]):
        start, stop = begin + word.start(), begin + word.end()
        while start < stop:
            cut = stop
            while cut - start > 1 and size(text[start:cut]) > room:
                cut = start + (cut - start) // 2
            yield start, cut
            start = cut
