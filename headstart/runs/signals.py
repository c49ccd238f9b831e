"""Ctrl-C, SIGTERM and a terminal that goes: finish the step, save, and leave with exit code 75."""

from __future__ import annotations

import shlex
import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Self

from headstart.errors import Exit, UserError
from headstart.progress import Event


class Interrupts:
    """Catches SIGINT, SIGTERM and SIGHUP while a run works.

    While `waiting` is set a signal only sets `requested`, and the loop saves first; otherwise it ends the run at once
    (what is written then is either whole or not there). A second signal always ends it at once. As a listener of the
    run's events it ends the run also where a library swallowed what the signal raised.

    Raises UserError (75) at its end, which names `headstart resume` where the run is `resumable`.
    """

    def __init__(self, folder: object) -> None:
        self.folder = folder
        self.requested = False
        self.waiting = False
        self.resumable = False
        self.place = ""  # which of several trainings, " in fold 2 of 5"
        self.previous_handlers: dict[signal.Signals,
                                     Callable[[int, FrameType | None], Any] | int | signal.Handlers | None] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self.previous_handlers[number] = signal.signal(number, self.handle)
            hang_up = getattr(signal, "SIGHUP", None)  # there is none on Windows; nohup has it ignored
            if hang_up is not None and signal.getsignal(hang_up) is not signal.SIG_IGN:
                self.previous_handlers[hang_up] = signal.signal(hang_up, self.handle)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 traceback: TracebackType | None) -> None:
        for number, handler in self.previous_handlers.items():
            signal.signal(number, handler)
        if isinstance(error, KeyboardInterrupt):
            raise self.error("interrupted") from None

    def handle(self, number: int, frame: FrameType | None) -> None:
        """A signal came."""
        is_first, self.requested = not self.requested, True
        if not (self.waiting and is_first):
            raise KeyboardInterrupt

    def receive(self, event: Event) -> None:
        """End the run where a signal came and nothing waits for it."""
        if self.requested and not self.waiting:
            raise KeyboardInterrupt

    def error(self, reason: str) -> UserError:
        """The error that ends an interrupted run."""
        fix = (f"Resume it: headstart resume {shlex.quote(str(self.folder))}" if self.resumable
               else "Nothing was begun: give the command again.")
        return UserError(f"The run was {reason}{self.place}.", fix=fix, exit=Exit.INTERRUPTED)
