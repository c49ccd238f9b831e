"""What happens while something long works: typed events, the Reporter that they go to, and listeners that take them.

    run -> Reporter -> console, log.jsonl, trackers …
"""

from headstart.progress.console import ConsoleListener, console_reporter
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
from headstart.progress.reporter import Listener, Reporter

__all__ = [
    "CheckpointSaved",
    "ConsoleListener",
    "EvaluationFinished",
    "Event",
    "Listener",
    "Message",
    "Progress",
    "Reporter",
    "ResourcesEstimated",
    "RunFinished",
    "RunStarted",
    "StepFinished",
    "TrainingWarning",
    "console_reporter",
]
