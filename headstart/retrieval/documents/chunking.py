"""Documents cut into passages of about as many words each, at the ends of sentences."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from headstart.retrieval.documents.document import Document
from headstart.retrieval.documents.passage import Passage
from headstart.text.sentences import sentence_spans
from headstart.text.words import SINGLE

WORD = re.compile(rf"[{SINGLE}]|[^\s{SINGLE}]{{1,40}}")  # what has no space for long (an address, a table of bytes) is several words
STRETCH = 1.25  # a passage may be so much longer to take in a short rest
Span = tuple[int, int, int]  # begin, end, words


def cut(document: Document, *, words: int = 100, overlap: int = 20) -> list[Passage]:
    """The passages of a document; each is document.text[begin:end] and lies in one section.

    Neighbours share whole sentences of at most `overlap` words. A sentence longer than a passage is cut between words.
    """
    made = []
    for begin, end, section in ranges(document):
        for first, last in joined(pieces(document.text, begin, end, words), words, overlap):
            made.append(Passage(document.id, document.title, section, document.text[first:last], first, last))
    return made


def subject(passage: Passage, *, titles: bool = True) -> str:
    """What is searched of a passage: its text, after title and section where it does not begin with them."""
    if not titles:
        return passage.text
    start = passage.text[:400].lstrip("# \t").casefold()
    parts = dict.fromkeys([passage.title, *passage.section.split(" > ")])
    head = [part for part in parts if part and not start.startswith(part.casefold())]
    return ". ".join(head) + "\n" + passage.text if head else passage.text


def ranges(document: Document) -> Iterator[tuple[int, int, str]]:
    """The parts of a text that lie under different headings; a heading without a text of its own goes with the next part."""
    begins = [(0, ""), *document.sections]
    waiting: int | None = None
    for place, (begin, section) in enumerate(begins):
        end = begins[place + 1][0] if place + 1 < len(begins) else len(document.text)
        held = document.text[begin:end].strip("#=- \t\n")
        last = place + 1 == len(begins)
        if not last and (not held or held == section.rpartition(" > ")[2]):
            waiting = begin if waiting is None and held else waiting
            continue
        yield begin if waiting is None else waiting, end, section
        waiting = None


def pieces(text: str, begin: int, end: int, words: int) -> list[Span]:
    """Sentences between two places, with their number of words; a long one as several pieces of like length."""
    found: list[Span] = []
    for first, last in sentence_spans(text[begin:end]):
        held = [match.span() for match in WORD.finditer(text, begin + first, begin + last)]
        count = -(-len(held) // words)
        borders = [len(held) * number // count for number in range(count + 1)] if count else []
        for low, high in pairwise(borders):
            found.append((held[low][0], held[high - 1][1], high - low))
    return found


def joined(found: list[Span], words: int, overlap: int) -> Iterator[tuple[int, int]]:
    """Begin and end of passages: pieces gathered up to the number of words."""
    first = done = 0  # the first piece of this passage; how many pieces earlier passages hold
    while done < len(found):
        last, size = first, 0
        while last < len(found) and (last <= done or size + found[last][2] <= words):
            size += found[last][2]
            last += 1
        rest = sum(piece[2] for piece in found[last:last + words])
        if last < len(found) and last + words >= len(found) and size + rest <= STRETCH * words:
            last = len(found)
        yield found[first][0], found[last - 1][1]
        done, first, shared = last, last, 0
        while first - 1 > 0 and shared + found[first - 1][2] <= overlap and last < len(found) and \
                shared + found[first - 1][2] + found[last][2] <= words:
            first -= 1
            shared += found[first][2]
