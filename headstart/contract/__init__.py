"""What the floors promise each other: a task's questions (`task.py`), and one frozen type for each stage (`stages.py`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from headstart.contract.results import Doubt, Figure, Json, Score
from headstart.contract.stages import (
    Baseline,
    Batch,
    Column,
    Detection,
    E,
    Example,
    Feature,
    Field,
    HeadSpec,
    Kind,
    Layout,
    Learned,
    Measures,
    Per,
    Prediction,
    Rival,
    Row,
    RowFault,
    Target,
    Tokenizer,
    Tokens,
)
from headstart.contract.task import Task

if TYPE_CHECKING:
    from headstart.contract.stages import Floats as Floats
    from headstart.contract.stages import Ints as Ints

__all__ = [
    "Baseline",
    "Batch",
    "Column",
    "Detection",
    "Doubt",
    "E",
    "Example",
    "Feature",
    "Field",
    "Figure",
    "HeadSpec",
    "Json",
    "Kind",
    "Layout",
    "Learned",
    "Measures",
    "Per",
    "Prediction",
    "Rival",
    "Row",
    "RowFault",
    "Score",
    "Target",
    "Task",
    "Tokenizer",
    "Tokens",
]
