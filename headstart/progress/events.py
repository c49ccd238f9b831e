"""What can happen in a run, one frozen type each; listeners tell them apart by their class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Event:
    """Something that happened."""


@dataclass(frozen=True)
class Message(Event):
    """A sentence or a few lines for a person; `warning` where it should catch the eye."""

    text: str
    warning: bool = False


@dataclass(frozen=True)
class Progress(Event):
    """How far a long piece of work is: `completed` of `total`, equal at its end; `text` says of what ("rows")."""

    completed: int
    total: int
    text: str


@dataclass(frozen=True)
class RunStarted(Event):
    """A run's data is read and its model loaded; training begins, or goes on after `step`.

    `settings` are those that this run reads, as {"training.epochs": 3.0}.
    """

    folder: Path
    task: str
    model: str
    step: int
    total_steps: int
    settings: Mapping[str, Any]


@dataclass(frozen=True)
class ResourcesEstimated(Event):
    """What the run will take, measured on its longest batch: seconds, bytes of memory, bytes of disk."""

    values: Mapping[str, Any]


@dataclass(frozen=True)
class StepFinished(Event):
    """One optimizer step. `tokens` and `seconds` count from the start of training; steps from 1, epochs from 0."""

    step: int
    total_steps: int
    epoch: int
    loss: float
    learning_rate: float
    gradient_norm: float
    tokens: int
    seconds: float
    padding: Mapping[str, float] = field(default_factory=dict)  # share of source and target, for an encoder-decoder


@dataclass(frozen=True)
class EvaluationFinished(Event):
    """Scores on a split after a step; None where a score is undefined. `seconds` is what it took."""

    step: int
    split: str
    scores: Mapping[str, float | None]
    seconds: float


@dataclass(frozen=True)
class CheckpointSaved(Event):
    """A checkpoint of this step is whole on the disk."""

    step: int
    path: Path


@dataclass(frozen=True)
class TrainingWarning(Event):
    """Something that training ran into and went on after."""

    step: int
    text: str


@dataclass(frozen=True)
class RunFinished(Event):
    """The run is done: its scores by split, as in scores.json, and its report."""

    folder: Path
    scores: Mapping[str, Any]
    report: Path
