"""Events as a person reads them on standard error: colour, word wrap and a live bar on a terminal, plain lines
elsewhere.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Sequence
from typing import TextIO

from headstart.progress.events import Event, Message, Progress, RunFinished, StepFinished, TrainingWarning
from headstart.progress.pace import Pace, StepWords
from headstart.progress.reporter import Reporter
from headstart.progress.tables import Table
from headstart.progress.terminal import ERASE_LINE, Terminal

REDRAW_SECONDS = 0.1


def console_reporter(stream: TextIO | None = None) -> Reporter:
    """A reporter that writes to standard error, or to `stream`.

    >>> run = headstart.finetune("reviews.csv", to="seen-run", epochs=1, reporter=headstart.console_reporter())
    """
    return Reporter(ConsoleListener(stream))


class ConsoleListener:
    """Writes messages and progress; a line every tenth of the way where no bar can move.

    A warning that comes again is counted, and told once more at the end.
    """

    def __init__(self, stream: TextIO | None = None, *, plain: bool | None = None) -> None:
        self.terminal = Terminal(stream if stream is not None else sys.stderr, plain=plain)
        self.pace = Pace()
        self.step_words = StepWords()
        self.warning_counts: Counter[str] = Counter()
        self.last_drawn = 0.0
        self.tenth = -1

    def receive(self, event: Event) -> None:
        """Show an event, where it is one for a person."""
        self.step_words = self.step_words.after(event)
        match event:
            case Message(warning=False):
                self.terminal.write(event.text)
            case Message() | TrainingWarning():
                self.warn(event.text)
            case Progress():
                self.show_progress(event)
            case StepFinished():
                self.show_progress(Progress(event.step, event.total_steps, self.step_words.text(event)))
            case RunFinished():
                self.tell_repeated_warnings()
            case _:
                pass

    def warn(self, text: str) -> None:
        """A warning, when it comes for the first time."""
        self.warning_counts[text] += 1
        if self.warning_counts[text] == 1:
            self.terminal.write(text, "yellow")

    def tell_repeated_warnings(self) -> None:
        """How often each warning came that came again."""
        for text, count in self.warning_counts.items():
            if count > 1:
                self.terminal.write(f"{count - 1:,} more times: {text}", "yellow")
        self.warning_counts.clear()

    def show_progress(self, progress: Progress) -> None:
        """Redraw the bar at most ten times a second; where it cannot move, a line every tenth."""
        now, total = time.monotonic(), max(1, progress.total)
        if self.pace.begins_anew(progress):
            self.tenth = -1
        self.pace.count(progress, now)
        count = f"{progress.completed:,}/{progress.total:,}  {progress.text}{self.pace.remaining(now)}"
        if self.terminal.plain:
            if progress.completed * 10 // total > self.tenth:
                self.tenth = progress.completed * 10 // total
                self.terminal.write("  " + count)
        elif progress.completed >= total or now - self.last_drawn >= REDRAW_SECONDS:
            self.last_drawn = now
            self.terminal.draw_bar(progress.completed / total, count)


def print_tables(tables: Sequence[Table], text: str, stream: TextIO | None = None) -> None:
    """Results on standard output: tables on a terminal, elsewhere the same as lines of text."""
    terminal = Terminal(stream if stream is not None else sys.stdout)
    if terminal.plain:
        terminal.write(text)
        return
    for table in tables:
        terminal.write_table(table)


def print_error(text: str, stream: TextIO | None = None) -> None:
    """An error on standard error, in red on a terminal, where it takes the place of a bar that was cut short."""
    terminal = Terminal(stream if stream is not None else sys.stderr)
    if not terminal.plain:
        terminal.stream.write(ERASE_LINE)
    terminal.write(text, "red")
