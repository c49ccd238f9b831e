"""Events in a notebook: a bar that moves in the cell, what is said, and the scores as a table at the end."""

from __future__ import annotations

import importlib
import time
from html import escape
from typing import Any

from headstart.errors import Exit, UserError
from headstart.progress.console import REDRAW_SECONDS
from headstart.progress.events import Event, Message, Progress, RunFinished, StepFinished, TrainingWarning
from headstart.progress.pace import Pace, StepWords
from headstart.progress.style import view
from headstart.progress.tables import Table, aligned, split_table


class NotebookListener:
    """Shows a run in the cell of a notebook that started it.

    >>> headstart.finetune("reviews.csv", reporter=Reporter(NotebookListener()))

    Raises UserError (69) where IPython is not installed.
    """

    def __init__(self) -> None:
        try:
            self.ipython: Any = importlib.import_module("IPython.display")
        except ImportError:
            raise UserError("NotebookListener shows a run in a notebook, but IPython is not installed here.",
                            fix="Run it in a notebook, or use headstart.progress.console_reporter().",
                            exit=Exit.UNAVAILABLE) from None
        self.pace = Pace()
        self.step_words = StepWords()
        self.lines: dict[str, bool] = {}  # what was said, each sentence once; whether it warns
        self.bar = self.bar_text = ""
        self.tables: list[Table] = []
        self.report = ""
        self.last_drawn = 0.0
        self.cell: Any = None

    def receive(self, event: Event) -> None:
        """Show an event, where it is one for a person."""
        self.step_words = self.step_words.after(event)
        match event:
            case Message():
                self.lines.setdefault(event.text, event.warning)
                self.draw()
            case TrainingWarning():
                self.lines.setdefault(event.text, True)
                self.draw()
            case Progress():
                self.show_progress(event)
            case StepFinished():
                self.show_progress(Progress(event.step, event.total_steps, self.step_words.text(event)))
            case RunFinished():
                self.bar = self.bar_text = ""
                self.tables = [split_table(split, split_scores) for split, split_scores in event.scores.items()]
                self.report = f"report: {event.report}"
                self.draw()
            case _:
                pass

    def show_progress(self, progress: Progress) -> None:
        """Move the bar, at most ten times a second."""
        now = time.monotonic()
        self.pace.count(progress, now)
        self.bar_text = f"{progress.completed:,}/{progress.total:,}  {progress.text}{self.pace.remaining(now)}"
        completed, total = min(progress.completed, progress.total), max(1, progress.total)
        self.bar = f'<div><progress value="{completed}" max="{total}"></progress> {escape(self.bar_text)}</div>'
        if progress.completed >= total or now - self.last_drawn >= REDRAW_SECONDS:
            self.last_drawn = now
            self.draw()

    def draw(self) -> None:
        """Show everything in the cell, in the place of what it showed before."""
        page = {"text/html": self.html(), "text/plain": self.text()}
        if self.cell is None:
            self.cell = self.ipython.display(page, raw=True, display_id=True)
        else:
            self.cell.update(page, raw=True)

    def html(self) -> str:
        """What the cell shows."""
        lines = "".join(f"<div class='{'lines warns' if warns else 'lines'}'>{escape(text)}</div>"
                        for text, warns in self.lines.items())
        report = f"<p>{escape(self.report)}</p>" if self.report else ""
        return view(f"{lines}{self.bar}{''.join(table.html() for table in self.tables)}{report}")

    def text(self) -> str:
        """The same where no HTML is shown: in a file that is kept as text, in a terminal."""
        tables = [f"{table.title}\n" + aligned([table.columns, *table.rows], [False] * len(table.columns))
                  for table in self.tables]
        return "\n".join(filter(None, [*self.lines, self.bar_text, *tables, self.report]))
