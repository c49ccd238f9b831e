"""The sentence of a passage that shares most words with a question."""

from __future__ import annotations

import re
from collections import Counter

WORD = re.compile(r"\w+")
SENTENCE = re.compile(r"[^.!?\n]+[.!?]*")
STOPWORDS = frozenset((
    "a", "an", "the", "of", "in", "on", "at", "to", "for", "and", "or", "is", "are", "was", "were", "be", "by", "with",
    "from", "what",
    "who", "when", "where", "which", "how", "why", "did", "do", "does", "it", "that", "this", "as", "has", "have",
    "had"))


def best_sentence(question: str, passage: str) -> tuple[int, int]:
    """Begin and end of the sentence with most of the question's words, rare ones of the passage first; the first of
    equals.
    """
    question_words = {word.lower() for word in WORD.findall(question)} - STOPWORDS
    counts = Counter(word.lower() for word in WORD.findall(passage))
    best_score, span = -1.0, (0, len(passage))
    for match in SENTENCE.finditer(passage):
        text = match.group()
        if not text.strip():
            continue
        score = sum(1 / counts[word] for word in {word.lower() for word in WORD.findall(text)} & question_words)
        if score > best_score:
            indent = len(text) - len(text.lstrip())
            best_score, span = score, (match.start() + indent, match.start() + len(text.rstrip()))
    return span
