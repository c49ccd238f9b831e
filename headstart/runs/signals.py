"""Ctrl-C and SIGTERM: finish the step, save, and leave with exit code 75."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Self

from headstart.errors import Exit, UserError


class Interrupts:
    """Catches SIGINT and SIGTERM while a run works.

    While `waiting` is set a signal only sets `requested`, and the loop saves first; otherwise it ends the run at once
    (what is written then is either whole or not there). A second signal always ends it at once.
    """

    def __init__(self, folder: object) -> None:
        self.folder = folder
        self.requested = False
        self.waiting = False
        self.previous_handlers: dict[signal.Signals,
                                     Callable[[int, FrameType | None], Any] | int | signal.Handlers | None] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self.previous_handlers[number] = signal.signal(number, self.handle)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 traceback: TracebackType | None) -> None:
        for number, handler in self.previous_handlers.items():
            signal.signal(number, handler)

    def handle(self, number: int, frame: FrameType | None) -> None:
        """A signal came."""
        if self.waiting and not self.requested:
            self.requested = True
            return
        raise self.error("interrupted")

    def error(self, reason: str) -> UserError:
        """The error that ends an interrupted run."""
        return UserError(f"The run was {reason}.", fix=f"Resume it: headstart resume {self.folder}",
                         exit=Exit.INTERRUPTED)
