"""How quick a piece of work is, and how a training step is told: what a console and a notebook say of progress."""

from __future__ import annotations

from dataclasses import dataclass, replace

from headstart.progress.events import EvaluationFinished, Event, Progress, RunStarted, StepFinished


class Pace:
    """Tells the seconds that are left, from the time since the first progress of the present piece of work."""

    def __init__(self) -> None:
        self.first_completed = self.completed = self.total = 0
        self.started = 0.0

    def begins_anew(self, progress: Progress) -> bool:
        """Whether another piece of work begins: fewer are completed than before, or of another number."""
        return progress.completed <= self.completed or progress.total != self.total

    def count(self, progress: Progress, now: float) -> None:
        """Take note of progress at a time in seconds."""
        if self.begins_anew(progress):
            self.first_completed, self.started = progress.completed, now
        self.completed, self.total = progress.completed, progress.total

    def seconds_left(self, now: float) -> float | None:
        """Seconds until the work ends; None before they can be told and at its end."""
        counted = self.completed - self.first_completed
        if not counted or self.completed >= self.total:
            return None
        return (now - self.started) / counted * (self.total - self.completed)

    def remaining(self, now: float) -> str:
        """The time that is left in words, "  20 s left"; "" where it cannot be told."""
        seconds = self.seconds_left(now)
        return "" if seconds is None else f"  {duration(seconds)} left"


@dataclass(frozen=True)
class StepWords:
    """What is told beside a training step: the score that selects the checkpoint, and its latest value on dev."""

    metric: str | None = None  # as the run's settings name it; the task's first score otherwise
    dev_score: str = ""

    def after(self, event: Event) -> StepWords:
        """What is told after an event."""
        if isinstance(event, RunStarted):
            return StepWords(event.settings.get("evaluation.metric"))
        if isinstance(event, EvaluationFinished) and event.scores:
            name = self.metric if self.metric and self.metric in event.scores else next(iter(event.scores))
            value = event.scores[name]
            return replace(self, dev_score=f", {event.split} {name} {'undefined' if value is None else f'{value:.4f}'}")
        return self

    def text(self, step: StepFinished) -> str:
        """The step's loss and the latest score: "steps, loss 0.123, dev macro_f1 0.9123"."""
        return f"steps, loss {step.loss:.3f}{self.dev_score}"


def duration(seconds: float) -> str:
    """A length of time in words: 8 s, 3 min 20 s, 2 h 5 min."""
    whole_seconds = round(seconds)
    if whole_seconds < 60:
        return f"{whole_seconds} s"
    if whole_seconds < 3600:
        return f"{whole_seconds // 60} min {whole_seconds % 60} s"
    return f"{whole_seconds // 3600} h {whole_seconds % 3600 // 60} min"
