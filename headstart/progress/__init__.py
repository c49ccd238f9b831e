"""What happens while something long works: typed events, the Reporter that they go to, and listeners that take them.

    run -> Reporter -> console, notebook, log.jsonl, trackers …
"""

from headstart.progress.console import ConsoleListener, console_reporter, print_error, print_tables
from headstart.progress.events import (
    CheckpointSaved,
    EvaluationFinished,
    Event,
    Message,
    Progress,
    ResourcesEstimated,
    RunFinished,
    RunStarted,
    StepFinished,
    TrainingWarning,
)
from headstart.progress.notebook import NotebookListener
from headstart.progress.reporter import Listener, Reporter
from headstart.progress.style import interval_bar, share_bar, view
from headstart.progress.tables import Table, split_table, value_cells

__all__ = [
    "CheckpointSaved",
    "ConsoleListener",
    "EvaluationFinished",
    "Event",
    "Listener",
    "Message",
    "NotebookListener",
    "Progress",
    "Reporter",
    "ResourcesEstimated",
    "RunFinished",
    "RunStarted",
    "StepFinished",
    "Table",
    "TrainingWarning",
    "console_reporter",
    "interval_bar",
    "print_error",
    "print_tables",
    "share_bar",
    "split_table",
    "value_cells",
    "view",
]
