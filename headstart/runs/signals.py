"""Ctrl-C and SIGTERM: finish the update, save, and leave with exit code 75."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Self

from headstart.errors import Exit, UserError


class Interrupts:
    """Catches SIGINT and SIGTERM while a run works.

    While `waiting` is set a signal only sets `asked`, and the loop saves first; otherwise it ends the run at once
    (what is written then is either whole or not there). A second signal always ends it at once.
    """

    def __init__(self, folder: object) -> None:
        self.folder = folder
        self.asked = False
        self.waiting = False
        self.before: dict[signal.Signals, Callable[[int, FrameType | None], Any] | int | signal.Handlers | None] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self.before[number] = signal.signal(number, self.caught)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def caught(self, number: int, frame: FrameType | None) -> None:
        """A signal came."""
        if self.waiting and not self.asked:
            self.asked = True
            return
        raise self.error("interrupted")

    def error(self, words: str) -> UserError:
        """The error that ends an interrupted run."""
        return UserError(f"The run was {words}.", fix=f"Go on with: headstart resume {self.folder}",
                         exit=Exit.INTERRUPTED)
