"""Ctrl-C, SIGTERM and a terminal that goes: finish the step, save, and leave with exit code 75."""

from __future__ import annotations

import shlex
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType, TracebackType
from typing import Any, Self

from headstart.errors import Exit, UserError
from headstart.progress import Event

Handler = Callable[[int, FrameType | None], Any] | signal.Handlers


def stop_signals() -> list[signal.Signals]:
    """The signals that ask a run to stop: Ctrl-C, SIGTERM and, but under nohup, a terminal that goes."""
    hang_up = getattr(signal, "SIGHUP", None)  # there is none on Windows
    if hang_up is None or signal.getsignal(hang_up) is signal.SIG_IGN:
        return [signal.SIGINT, signal.SIGTERM]
    return [signal.SIGINT, signal.SIGTERM, hang_up]


@contextmanager
def handling_stop_signals(handler: Handler) -> Iterator[None]:
    """Let this handler have the signals that ask a run to stop.

    In a thread that is not the first, in which Ray Train runs, nothing is changed: no other may.
    """
    numbers = stop_signals() if threading.current_thread() is threading.main_thread() else []
    previous_handlers = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, previous_handler in previous_handlers.items():
            signal.signal(number, previous_handler)


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
        self.handlers = ExitStack()  # of signals, while the run works

    def __enter__(self) -> Self:
        self.handlers.enter_context(handling_stop_signals(self.handle))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 traceback: TracebackType | None) -> None:
        self.handlers.close()
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
