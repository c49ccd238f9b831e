"""The one place that everything which happens is told to; whoever listens gets it from there."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Protocol

from headstart.progress.events import Event, Message, Progress


class Listener(Protocol):
    """Takes events as they happen: a console, a log file, a tracker, a notebook."""

    def receive(self, event: Event) -> bool | None:
        """Take one event. True asks a run to stop: it evaluates, saves, and ends after this step as if it were the
        last.
        """


class Reporter:
    """Passes events on to its listeners, in their order; without any it is silent.

    >>> from headstart.progress import ConsoleListener, StepFinished
    >>> class LossWatch:
    ...     def receive(self, event):
    ...         return isinstance(event, StepFinished) and event.loss > 100  # True ends the run
    >>> headstart.finetune("reviews.csv", to="watched-run", epochs=1,
    ...                    reporter=headstart.Reporter(ConsoleListener(), LossWatch()))
    """

    def __init__(self, *listeners: Listener) -> None:
        self.listeners = list(listeners)
        self.stop_requested = False

    def emit(self, event: Event) -> None:
        """Pass an event on."""
        for listener in self.listeners:
            if listener.receive(event):
                self.stop_requested = True

    def info(self, text: str) -> None:
        """Say a sentence or a few lines."""
        self.emit(Message(text))

    def warning(self, text: str) -> None:
        """Say something that should catch the eye."""
        self.emit(Message(text, warning=True))

    def progress(self, completed: int, total: int, text: str) -> None:
        """Say how far a long piece of work is; `completed` equals `total` at its end."""
        self.emit(Progress(completed, total, text))

    @contextlib.contextmanager
    def listening(self, listener: Listener) -> Iterator[None]:
        """Pass events on to one more listener while the block runs."""
        self.listeners.append(listener)
        try:
            yield
        finally:
            self.listeners.remove(listener)
