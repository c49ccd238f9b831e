"""Summarization: a short text that says what a long one says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from headstart.contract import Baseline, Column, Detection
from headstart.tasks.shared.column_detection import BY_VALUE, LABEL_WORDS, label_columns, name_strength
from headstart.tasks.shared.sequence_to_sequence import SequenceToSequenceTask, source_target_columns
from headstart.tasks.shared.sequence_to_sequence_baselines import EXTRACTIVE_BASELINES


@dataclass(frozen=True)
class Summarization(SequenceToSequenceTask):
    """A summary of a text."""

    name: ClassVar[str] = "summarization"
    summary: ClassVar[str] = "a summary of a text"
    pipeline_tag: ClassVar[str] = "summarization"
    selection_score: ClassVar[tuple[str, bool]] = ("rouge2", True)

    @classmethod
    def detect(cls, columns: Sequence[Column]) -> Detection | None:
        """A document and its summary, by their names; less sure where another column looks like a label (a review, its
        headline and its score).
        """
        column_names = source_target_columns(columns, ("document", "article", "dialogue", "text", "source"),
                                             ("summary", "highlights", "abstract", "tldr"))
        if column_names is None:
            return None
        further_columns = [column for column in columns if column.name not in column_names.values()]
        labels = [column for column in label_columns(further_columns, ())
                  if name_strength(column, (), LABEL_WORDS) > BY_VALUE]
        return Detection(column_names, 0.8 if labels else 0.97,
                         f"{column_names['target']!r} is there with {column_names['source']!r}")

    def baselines(self) -> tuple[Baseline, ...]:
        """The first sentences, and the one most similar to the whole."""
        return EXTRACTIVE_BASELINES
