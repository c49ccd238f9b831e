"""Documents cut into passages of about as many words each, at the ends of sentences."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from headstart.retrieval.documents.document import Document
from headstart.retrieval.documents.passage import Passage
from headstart.text.sentences import sentence_spans
from headstart.text.words import UNSPACED_CHARACTERS

# What has no space for long (an address, a table of bytes) is several words.
WORD = re.compile(rf"[{UNSPACED_CHARACTERS}]|[^\s{UNSPACED_CHARACTERS}]{{1,40}}")
STRETCH = 1.25  # a passage may be so much longer to take in a short remainder
Span = tuple[int, int, int]  # begin, end, number of words


def chunk_document(document: Document, *, words: int = 100, overlap: int = 20) -> list[Passage]:
    """The passages of a document; each is document.text[begin:end] and lies in one section.

    Neighbours share whole sentences of at most `overlap` words. A sentence longer than a passage is cut between words.
    """
    passages = []
    for begin, end, section in section_ranges(document):
        for start, stop in passage_spans(bounded_sentences(document.text, begin, end, words), words, overlap):
            passages.append(Passage(document.id, document.title, section, document.text[start:stop], start, stop))
    return passages


def searchable_text(passage: Passage, *, titles: bool = True) -> str:
    """What is searched of a passage: its text, under its title and section where it does not begin with them."""
    if not titles:
        return passage.text
    opening = passage.text[:400].lstrip("# \t").casefold()
    headings = dict.fromkeys([passage.title, *passage.section.split(" > ")])
    missing = [heading for heading in headings if heading and not opening.startswith(heading.casefold())]
    return ". ".join(missing) + "\n" + passage.text if missing else passage.text


def section_ranges(document: Document) -> Iterator[tuple[int, int, str]]:
    """The parts of a text that lie under different headings; a heading without a text of its own goes with the next
    part.
    """
    sections = [(0, ""), *document.sections]
    pending_start: int | None = None
    for index, (begin, section) in enumerate(sections):
        end = sections[index + 1][0] if index + 1 < len(sections) else len(document.text)
        body = document.text[begin:end].strip("#=- \t\n")
        is_last = index + 1 == len(sections)
        if not is_last and (not body or body == section.rpartition(" > ")[2]):
            pending_start = begin if pending_start is None and body else pending_start
            continue
        yield begin if pending_start is None else pending_start, end, section
        pending_start = None


def bounded_sentences(text: str, begin: int, end: int, words: int) -> list[Span]:
    """Sentences of text[begin:end] with their number of words; a longer one as several pieces of like length."""
    spans: list[Span] = []
    for start, stop in sentence_spans(text[begin:end]):
        word_spans = [match.span() for match in WORD.finditer(text, begin + start, begin + stop)]
        piece_count = -(-len(word_spans) // words)
        borders = [len(word_spans) * piece // piece_count for piece in range(piece_count + 1)] if piece_count else []
        for low, high in pairwise(borders):
            spans.append((word_spans[low][0], word_spans[high - 1][1], high - low))
    return spans


def passage_spans(sentences: list[Span], words: int, overlap: int) -> Iterator[tuple[int, int]]:
    """Begin and end of passages: sentences gathered up to the number of words."""
    first = covered = 0  # the first sentence of this passage; how many sentences earlier passages hold
    while covered < len(sentences):
        last, word_count = first, 0
        while last < len(sentences) and (last <= covered or word_count + sentences[last][2] <= words):
            word_count += sentences[last][2]
            last += 1
        remaining_words = sum(sentence[2] for sentence in sentences[last:last + words])
        if last < len(sentences) and last + words >= len(sentences) and word_count + remaining_words <= STRETCH * words:
            last = len(sentences)
        yield sentences[first][0], sentences[last - 1][1]
        covered, first, shared_words = last, last, 0
        while first - 1 > 0 and shared_words + sentences[first - 1][2] <= overlap and last < len(sentences) and \
                shared_words + sentences[first - 1][2] + sentences[last][2] <= words:
            first -= 1
            shared_words += sentences[first][2]
