"""Trainings of a run that went wrong before the one that goes on, as data.json and every checkpoint keep them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headstart.files import discard
from headstart.runs.defaults import rounded
from headstart.runs.folder import RunFolder
from headstart.runs.record import DATA_FILE, with_checksum
from headstart.training import checkpoint

MOST_ATTEMPTS = 3
SHARE = 1 / 3  # of the learning rate that the next attempt begins with


@dataclass(frozen=True)
class Attempt:
    """A training that went wrong: its learning rate, the step that showed it, why, and the seconds that it took."""

    learning_rate: float
    step: int
    reason: str
    seconds: float


def lower_rate(learning_rate: float) -> float:
    """The learning rate after one that was too high: a third, to two digits."""
    return rounded(SHARE * learning_rate)


def read_attempts(folder: RunFolder) -> list[Attempt]:
    """The attempts that data.json tells of; none where it is missing."""
    content = folder.read_object(DATA_FILE) or {}
    return attempts_from(content.get("attempts", []))


def write_attempts(folder: RunFolder, attempts: Sequence[Attempt]) -> None:
    """Put the attempts into data.json, where there is one: the training of a fold has none. Raises UserError (74)."""
    content = folder.read_object(DATA_FILE)
    if content is not None:
        folder.write_json(DATA_FILE, with_checksum(content | {"attempts": [vars(attempt) for attempt in attempts]}))


def attempts_from(content: Any) -> list[Attempt]:
    """Attempts as data.json and checkpoints hold them."""
    return [Attempt(**values) for values in content]


def newest_of_attempts(checkpoints: Path, attempts: Sequence[Attempt]) -> tuple[Path | None, list[str]]:
    """The newest good checkpoint that belongs to this attempt or a later one, and why newer ones are skipped.

    Those of earlier attempts go: they were left behind where the run was killed while it began again.
    """
    while True:
        newest, skipped = checkpoint.newest_valid(checkpoints)
        if newest is None or len(checkpoint.read_progress(newest).get("attempts", [])) >= len(attempts):
            return newest, skipped
        discard(newest)
