"""Every setting on one line of one frozen dataclass (`groups.py`), and how values are read and checked (`values.py`)."""

from headstart.settings.groups import (
    GROUPS,
    Adapter,
    Data,
    Evaluation,
    Generation,
    Mining,
    Steering,
    Training,
)
from headstart.settings.note import Count, Note, Part
from headstart.settings.values import (
    Line,
    as_kind,
    assignments,
    build,
    flat,
    lines,
    load,
    parse,
    shown,
    type_name,
    wrong,
)

__all__ = [
    "GROUPS",
    "Adapter",
    "Count",
    "Data",
    "Evaluation",
    "Generation",
    "Line",
    "Mining",
    "Note",
    "Part",
    "Steering",
    "Training",
    "as_kind",
    "assignments",
    "build",
    "flat",
    "lines",
    "load",
    "parse",
    "shown",
    "type_name",
    "wrong",
]
