"""The parts of a run's end that may fail one by one: each failure is told and noted, and costs no run its model."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import TypeVar

from headstart.errors import Exit, UserError
from headstart.files import disk_errors
from headstart.progress import Reporter
from headstart.runs.folder import RunFolder
from headstart.version import __version__

FAILURES_FILE = "failed_parts.txt"
ENDS_THE_RUN = (Exit.INTERRUPTED, Exit.DISK)  # what a resumed run can do again

Part = TypeVar("Part")


class Parts:
    """Makes what comes after training, part after part, and keeps the reasons of those that failed.

    >>> parts = Parts(folder, reporter)
    >>> figures = parts.attempt("the figures of test", lambda: task.figures(examples, predictions, measures))
    """

    def __init__(self, folder: RunFolder, reporter: Reporter) -> None:
        self.folder, self.reporter = folder, reporter
        self.failures: dict[str, str] = {}  # part -> reason

    def attempt(self, name: str, make: Callable[[], Part]) -> Part | None:
        """What `make` gives; None where it fails, and the failure is told.

        A full disk (74) and an interruption (75) still end the run: it can be resumed.
        """
        try:
            with disk_errors(self.folder.path, "Free some space, then run headstart resume."):
                return make()
        except Exception as error:
            if isinstance(error, UserError) and error.exit in ENDS_THE_RUN:
                raise
            self.note_failure(name, error)
        return None

    def note_failure(self, name: str, error: Exception) -> None:
        """Tell that a part failed; the traceback of a bug goes to failed_parts.txt."""
        reason = error.message if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
        self.failures[name] = reason
        details = ""
        if not isinstance(error, UserError):
            path = self.folder / FAILURES_FILE
            earlier = path.read_text(encoding="utf-8") if path.exists() else f"headstart {__version__}\n"
            self.folder.write(FAILURES_FILE, f"{earlier}\n{name}\n{''.join(traceback.format_exception(error))}")
            details = f" The details are in {path}; please report them."
        self.reporter.warning(f"{name} could not be made ({reason}); the run ends without it.{details}")

    def sentences(self) -> list[str]:
        """What the report says of the parts that failed."""
        return [f"Not made: {name} ({reason})." for name, reason in self.failures.items()]
