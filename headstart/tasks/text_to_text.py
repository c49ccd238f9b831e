"""Text to text: any text that is to be written for a text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from headstart.contract import Baseline, Column, Detection
from headstart.tasks.shared.sequence_to_sequence import SourceTarget, columns_of
from headstart.tasks.shared.sequence_to_sequence_baselines import COPY


@dataclass(frozen=True)
class TextToText(SourceTarget):
    """A text for a text."""

    name: ClassVar[str] = "text-to-text"
    summary: ClassVar[str] = "any text for a text: questions, corrections, rewritings"
    best: ClassVar[tuple[str, bool]] = ("exact_match", True)

    @classmethod
    def detect(cls, columns: Sequence[Column]) -> Detection | None:
        """Columns called source and target (or input and output)."""
        held = columns_of(columns, ("source",), ("target",)) or columns_of(columns, ("input",), ("output",))
        reason = "source and target are there; for scores of summaries or translations pass --task summarization or translation"
        return None if held is None else Detection(held, 0.985, reason)

    def baselines(self) -> tuple[Baseline, ...]:
        """Writing down what was read."""
        return COPY
