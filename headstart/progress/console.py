"""Events as a person reads them on standard error: colour, word wrap and a live bar on a terminal, plain lines
elsewhere.
"""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, TextIO

from headstart.progress.events import Event, Message, Progress, StepFinished, TrainingWarning
from headstart.progress.reporter import Reporter

if TYPE_CHECKING:
    import rich.console

NARROW = 60  # columns; below, a bar and its words do not fit on a line
REDRAW_SECONDS = 0.1
BAR_WIDTH = 24


def console_reporter(stream: TextIO | None = None) -> Reporter:
    """A reporter that writes to standard error, or to `stream`."""
    return Reporter(ConsoleListener(stream))


def is_plain(stream: TextIO) -> bool:
    """Whether a stream gets neither colour nor a moving bar: no terminal, a narrow one, TERM=dumb, or NO_COLOR is set.
    """
    if not stream.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return True
    import shutil

    return shutil.get_terminal_size().columns < NARROW


class ConsoleListener:
    """Writes messages and progress; a line every tenth of the way where no bar can move."""

    def __init__(self, stream: TextIO | None = None, *, plain: bool | None = None) -> None:
        self.stream = stream if stream is not None else sys.stderr
        self.plain = is_plain(self.stream) if plain is None else plain
        self.work_started = self.last_drawn = 0.0
        self.tenth = -1
        self.bar_is_open = False
        self.rich_console: rich.console.Console | None = None

    def receive(self, event: Event) -> None:
        """Show an event, where it is one for a person."""
        match event:
            case Message():
                self.write(event.text, "yellow" if event.warning else None)
            case TrainingWarning():
                self.write(event.text, "yellow")
            case Progress():
                self.show_progress(event)
            case StepFinished():
                self.show_progress(Progress(event.step, event.total_steps, f"steps, loss {event.loss:.3f}"))
            case _:
                pass

    def write(self, text: str, style: str | None = None) -> None:
        """Text on lines of its own."""
        if self.bar_is_open:
            self.stream.write("\r\x1b[K")
            self.bar_is_open = False
        if self.plain:
            self.stream.write(text + "\n")
        else:
            self.console().print(text, style=style, markup=False, highlight=False, soft_wrap=False)
        self.stream.flush()

    def console(self) -> rich.console.Console:
        """rich's console on the stream, imported when the first line is written."""
        if self.rich_console is None:
            import rich.console

            self.rich_console = rich.console.Console(file=self.stream)
        return self.rich_console

    def show_progress(self, progress: Progress) -> None:
        """Redraw the bar at most ten times a second; where it cannot move, a line every tenth."""
        now, total = time.monotonic(), max(1, progress.total)
        if progress.completed <= 1 or self.work_started == 0.0:
            self.work_started, self.tenth = now, -1
        seconds_left = (now - self.work_started) / max(1, progress.completed - 1) * (total - progress.completed)
        remaining = f"  {duration(seconds_left)} left" if 1 < progress.completed < total else ""
        count = f"{progress.completed:,}/{progress.total:,}  {progress.text}{remaining}"
        if self.plain:
            if progress.completed * 10 // total > self.tenth:
                self.tenth = progress.completed * 10 // total
                self.write("  " + count)
        elif progress.completed >= total or now - self.last_drawn >= REDRAW_SECONDS:
            self.last_drawn = now
            self.draw_bar(progress.completed / total, count)

    def draw_bar(self, share: float, text: str) -> None:
        """A bar and its words on one line, drawn over the one before; a whole bar ends its line."""
        import shutil

        filled_columns = round(BAR_WIDTH * share)
        line = "█" * filled_columns + "░" * (BAR_WIDTH - filled_columns) + " " + text
        self.stream.write("\r\x1b[K" + line[:shutil.get_terminal_size().columns - 1] + ("\n" if share >= 1 else ""))
        self.bar_is_open = share < 1
        self.stream.flush()


def duration(seconds: float) -> str:
    """A length of time in words: 8 s, 3 min 20 s, 2 h 5 min."""
    whole_seconds = round(seconds)
    if whole_seconds < 60:
        return f"{whole_seconds} s"
    if whole_seconds < 3600:
        return f"{whole_seconds // 60} min {whole_seconds % 60} s"
    return f"{whole_seconds // 3600} h {whole_seconds % 3600 // 60} min"
