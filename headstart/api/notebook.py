"""In a notebook a run shows itself in the cell that started it; elsewhere Python says nothing that was not asked."""

from __future__ import annotations

import sys

from headstart.progress import NotebookListener, Reporter


def in_notebook() -> bool:
    """Whether this process is the kernel of a notebook."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and hasattr(shell, "kernel")


def default_reporter() -> Reporter:
    """What a run tells where no reporter was passed: in a notebook its cell, else nobody."""
    return Reporter(NotebookListener()) if in_notebook() else Reporter()
