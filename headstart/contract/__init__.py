"""What the floors promise each other: a task's questions (`task.py`), and one frozen type for each stage (`stages.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from headstart.contract.abstention import Abstention, Tempered
from headstart.contract.losses import Loss
from headstart.contract.metric import AnswerType, Metric
from headstart.contract.predictor import Predictor, Runtime
from headstart.contract.results import ErrorToExplain, Figure, Json, Score
from headstart.contract.stages import (
    Baseline,
    Batch,
    ChatLayout,
    Column,
    Detection,
    E,
    Example,
    Feature,
    Field,
    FittedBaseline,
    HeadSpec,
    Kind,
    Layout,
    Learned,
    Measures,
    Piece,
    Prediction,
    Row,
    RowFault,
    SamplePrompt,
    Target,
    TargetLevel,
    Tokenizer,
    Tokens,
)
from headstart.contract.task import Task

if TYPE_CHECKING:
    from headstart.contract.stages import Floats as Floats
    from headstart.contract.stages import Ints as Ints

__all__ = [
    "Abstention",
    "AnswerType",
    "Baseline",
    "Batch",
    "ChatLayout",
    "Column",
    "Detection",
    "E",
    "ErrorToExplain",
    "Example",
    "Feature",
    "Field",
    "Figure",
    "FittedBaseline",
    "HeadSpec",
    "Json",
    "Kind",
    "Layout",
    "Learned",
    "Loss",
    "Measures",
    "Metric",
    "Piece",
    "Prediction",
    "Predictor",
    "Row",
    "RowFault",
    "Runtime",
    "SamplePrompt",
    "Score",
    "Target",
    "TargetLevel",
    "Task",
    "Tempered",
    "Tokenizer",
    "Tokens",
]
