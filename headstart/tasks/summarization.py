"""Summarization: a short text that says what a long one says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from headstart.contract import Baseline, Column, Detection
from headstart.tasks.shared.sequence_to_sequence import SourceTarget, columns_of
from headstart.tasks.shared.sequence_to_sequence_baselines import SUMMARIES


@dataclass(frozen=True)
class Summarization(SourceTarget):
    """A summary of a text."""

    name: ClassVar[str] = "summarization"
    summary: ClassVar[str] = "a summary of a text"
    best: ClassVar[tuple[str, bool]] = ("rouge2", True)

    @classmethod
    def detect(cls, columns: Sequence[Column]) -> Detection | None:
        """A document and its summary, by their names."""
        held = columns_of(columns, ("document", "article", "dialogue", "text", "source"), ("summary", "highlights", "abstract", "tldr"))
        return None if held is None else Detection(held, 0.97, f"{held['target']!r} is there beside {held['source']!r}")

    def baselines(self) -> tuple[Baseline, ...]:
        """The first sentences, and the one most like the whole."""
        return SUMMARIES
