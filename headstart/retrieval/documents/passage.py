"""A passage of a document, and a passage with the score of a search."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Passage:
    """About 100 words of a document, whole sentences; `text` is document[begin:end] by characters.

    `document` is the file's path below the folder that was indexed, or the row's id; `section` the headings above it,
    joined by " > ", empty where there are none.
    """

    document: str
    title: str
    section: str
    text: str
    begin: int
    end: int


@dataclass(frozen=True)
class ScoredPassage:
    """A passage that a search found: its row in the index and its score (BM25, cosine, or the sum of reciprocal ranks).
    """

    passage: Passage
    row: int
    score: float
