"""What a report shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from headstart.contract import Figure, Json
from headstart.errors import Finding


@dataclass(frozen=True)
class Report:
    """Everything that a report shows, as JSON-like data without a task."""

    title: str
    task: str
    model: str
    created: str
    command: str
    scores: Mapping[str, Any]
    summary: Sequence[str] = ()  # sentences after those about the scores
    findings: Sequence[Finding] = ()
    splits: Sequence[Mapping[str, Json]] = ()
    data_notes: Sequence[str] = ()
    log: Sequence[Mapping[str, Any]] = ()
    figures_by_split: Mapping[str, Sequence[Figure]] = field(default_factory=dict)
    settings: str = ""
    environment: Mapping[str, Json] = field(default_factory=dict)
    card: str = ""  # the model card, Markdown


def is_slice(split: str, report: Report) -> bool:
    """Whether a split's scores are those of a part of another split (test/de), rather than of rows of their own."""
    return bool(report.figures_by_split) and split not in report.figures_by_split and \
        any(split.startswith(f"{name}/") for name in report.figures_by_split)
