"""Text to text: any target text for a source text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from headstart.contract import Baseline, Column, Detection
from headstart.tasks.shared.sequence_to_sequence import SequenceToSequenceTask, source_target_columns
from headstart.tasks.shared.sequence_to_sequence_baselines import COPY_BASELINE


@dataclass(frozen=True)
class TextToText(SequenceToSequenceTask):
    """A target text for a source text."""

    name: ClassVar[str] = "text-to-text"
    summary: ClassVar[str] = "any text from a text: questions, corrections, rewritings"
    pipeline_tag: ClassVar[str] = "text2text-generation"
    selection_score: ClassVar[tuple[str, bool]] = ("exact_match", True)

    @classmethod
    def detect(cls, columns: Sequence[Column]) -> Detection | None:
        """Columns called source and target (or input and output)."""
        column_names = source_target_columns(columns, ("source",),
                                             ("target",)) or source_target_columns(columns, ("input",), ("output",))
        reason = ("source and target are there; for scores of summaries or translations pass --task summarization or "
                  "translation")
        return None if column_names is None else Detection(column_names, 0.985, reason)

    def baselines(self) -> tuple[Baseline, ...]:
        """The source itself."""
        return COPY_BASELINE
