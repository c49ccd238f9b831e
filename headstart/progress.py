"""What a run says while it works, and to whom: words and progress, never results."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field
from typing import Protocol, TextIO


class Voice(Protocol):
    """Who listens to a run."""

    def say(self, text: str) -> None:
        """A sentence or a few lines."""

    def progress(self, done: int, total: int, words: str) -> None:
        """How far a long step is; done equals total at its end."""


class Silent:
    """Says nothing."""

    def say(self, text: str) -> None:
        """Nothing."""

    def progress(self, done: int, total: int, words: str) -> None:
        """Nothing."""


@dataclass
class Terminal:
    """Writes to standard error: a moving bar on a terminal, else a line every tenth of the way."""

    stream: TextIO = field(default_factory=lambda: sys.stderr)
    moving: bool = False
    begun: float = 0.0
    last: float = 0.0
    tenth: int = -1
    open_line: bool = False

    def say(self, text: str) -> None:
        """The text on lines of its own."""
        if self.open_line:
            self.stream.write("\n")
            self.open_line = False
        self.stream.write(text + "\n")
        self.stream.flush()

    def progress(self, done: int, total: int, words: str) -> None:
        """Redraw the bar at most ten times a second; without a terminal, a line every tenth."""
        now = time.monotonic()
        if done <= 1 or self.begun == 0.0:
            self.begun, self.tenth = now, -1
        left = (now - self.begun) / max(1, done - 1) * (total - done) if done > 1 else 0.0
        if self.moving:
            if now - self.last < 0.1 and done < total:
                return
            self.last = now
            filled = round(24 * done / max(1, total))
            bar = "█" * filled + "░" * (24 - filled)
            self.stream.write(f"\r\x1b[K{bar} {done:,}/{total:,}  {words}" + (f"  {clock(left)} left" if done < total else ""))
            self.open_line = done < total
            if done >= total:
                self.stream.write("\n")
            self.stream.flush()
        elif done * 10 // max(1, total) > self.tenth:
            self.tenth = done * 10 // max(1, total)
            self.say(f"  {done:,}/{total:,}  {words}" + (f"  {clock(left)} left" if 1 < done < total else ""))


def clock(seconds: float) -> str:
    """A length of time in words: 8 s, 3 min 20 s, 2 h 5 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
