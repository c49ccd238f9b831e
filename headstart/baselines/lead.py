"""A text's first sentences (lead-3): a baseline that is hard to beat on news summaries."""

from __future__ import annotations

from collections.abc import Sequence

from headstart.text.sentences import sentence_spans


def lead(text: str, *, sentences: int = 3) -> str:
    """The first sentences of a text, one a line (ROUGE-Lsum wants them so); the whole text when it has fewer."""
    return "\n".join(" ".join(text[start:end].split()) for start, end in sentence_spans(text)[:sentences])


def lead_size(counts: Sequence[int]) -> int:
    """How many sentences to take: the median number of the training targets, at least 1."""
    return max(1, sorted(counts)[(len(counts) - 1) // 2]) if counts else 3
