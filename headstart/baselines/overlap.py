"""The sentence that shares most words with a question."""

from __future__ import annotations

import re
from collections import Counter

WORD = re.compile(r"\w+")
SENTENCE = re.compile(r"[^.!?\n]+[.!?]*")
USUAL = frozenset((
    "a", "an", "the", "of", "in", "on", "at", "to", "for", "and", "or", "is", "are", "was", "were", "be", "by", "with", "from", "what",
    "who", "when", "where", "which", "how", "why", "did", "do", "does", "it", "that", "this", "as", "has", "have", "had"))


def best_sentence(question: str, passage: str) -> tuple[int, int]:
    """Begin and end of the sentence with most of the question's words, rare ones of the passage first; the first of equals."""
    asked = {word.lower() for word in WORD.findall(question)} - USUAL
    seen = Counter(word.lower() for word in WORD.findall(passage))
    best, place = -1.0, (0, len(passage))
    for found in SENTENCE.finditer(passage):
        text = found.group()
        if not text.strip():
            continue
        value = sum(1 / seen[word] for word in {word.lower() for word in WORD.findall(text)} & asked)
        if value > best:
            lead = len(text) - len(text.lstrip())
            best, place = value, (found.start() + lead, found.start() + len(text.rstrip()))
    return place
