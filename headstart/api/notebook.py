"""What Python shows by itself: in a notebook a run shows itself in the cell that started it, else on standard error."""

from __future__ import annotations

import sys

from headstart.progress import NotebookListener, Reporter, console_reporter


def in_notebook() -> bool:
    """Whether this process is the kernel of a notebook."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and hasattr(shell, "kernel")


def default_reporter(*, quiet: bool = False) -> Reporter:
    """What a run tells where no reporter was passed: its cell in a notebook, else standard error, as the command does;
    nobody where it is to be quiet.
    """
    if quiet:
        return Reporter()
    return Reporter(NotebookListener()) if in_notebook() else console_reporter()
