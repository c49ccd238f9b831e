"""A long text in chunks that fit, cut between sentences; nothing is lost."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from headstart.text.sentences import sentence_spans

LONGEST_TOKEN = 64  # characters, by which the search for where a long word is cut begins


def chunks(text: str, length: Callable[[str], int], max_length: int) -> list[str]:
    """Chunks of a text whose `length` is at most `max_length`, each as long as it may be.

    Cut between sentences; a sentence that is longer by itself between words, and a word that is longer between letters.
    """
    spans = [span for start, end in sentence_spans(text) for span in fit_sentence(text, start, end, length, max_length)]
    chunk_spans: list[tuple[int, int]] = []
    for start, end in spans:
        if chunk_spans and length(text[chunk_spans[-1][0]:end]) <= max_length:
            chunk_spans[-1] = (chunk_spans[-1][0], end)
        else:
            chunk_spans.append((start, end))
    return [text[start:end] for start, end in chunk_spans]


def fit_sentence(text: str, sentence_start: int, sentence_end: int, length: Callable[[str], int],
                 max_length: int) -> Iterator[tuple[int, int]]:
    """One sentence, or its pieces where it is too long by itself."""
    if length(text[sentence_start:sentence_end]) <= max_length:
        yield sentence_start, sentence_end
        return
    for word in re.finditer(r"\S+", text[sentence_start:sentence_end]):
        start, end = sentence_start + word.start(), sentence_start + word.end()
        while start < end:
            # a word of a megabyte is not measured whole for each of its pieces
            cut = min(end, start + LONGEST_TOKEN * max_length)
            while cut - start > 1 and length(text[start:cut]) > max_length:
                cut = start + (cut - start) // 2
            yield start, cut
            start = cut
