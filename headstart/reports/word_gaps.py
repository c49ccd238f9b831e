"""The characters between the words of a text and its pair, so that scored words read as they were written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from headstart.contract import Json

if TYPE_CHECKING:
    from headstart.inspection.encode import Word


def word_shares(text: str, pair: str | None, scores: Sequence[tuple[Word, float]]) -> list[Json]:
    """The `words` of a figure: what stands before each word, the word, and its score as a share of the strongest."""
    max_score = max((abs(score) for _, score in scores), default=0.0) or 1.0
    gaps = text_gaps(text, pair, [word for word, _ in scores])
    return [[gap, word.text, score / max_score] for gap, (word, score) in zip(gaps, scores, strict=True)]


def text_gaps(text: str, pair: str | None, words: Sequence[Word]) -> list[str]:
    """The characters before each word; a pair begins a line of its own."""
    gaps, part, end = [], "text", 0
    for word in words:
        part_text = text if word.part == "text" else pair or ""
        has_characters = word.end > word.begin  # without offsets from the tokenizer, words have length 0
        if word.part != part:
            gaps.append("\n")
        else:
            gaps.append(part_text[end:word.begin] if has_characters else " " if gaps else "")
        part, end = word.part, word.end
    return gaps
