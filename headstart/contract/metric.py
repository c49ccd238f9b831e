"""A score that another package adds to the scores of tasks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

AnswerType = Literal["label", "number", "text"]


@dataclass(frozen=True)
class Metric:
    """A score of your own: a function of gold answers and predictions, shown beside the scores of the task.

    `function(gold, predicted)` gives the number of one row, and the score is their mean; with `per_row=False` it takes
    the lists of all rows and gives the score itself (once for each bootstrap resample, so it should be quick). Labels
    and texts come as `str`, numbers as `float`. Of several reference texts the best counts. NaN means undefined.
    `answers` says for which predictions it is meant; texts are compared row by row only.

    >>> def share_of_length(gold: str, predicted: str) -> float:
    ...     return min(1.0, len(predicted) / max(1, len(gold)))
    >>> LENGTH = headstart.Metric("share_of_length", share_of_length, "length of a text / that of its reference",
    ...                           answers=("text",))
    """

    name: str
    function: Callable[[Any, Any], float]
    definition: str  # one line; it stands in the score's signature
    higher_is_better: bool = True
    answers: tuple[AnswerType, ...] = ("label", "number", "text")
    per_row: bool = True

    def __post_init__(self) -> None:
        if not self.per_row and "text" in self.answers:
            raise ValueError(f"The metric {self.name!r} takes texts, which are compared row by row; "
                             'leave "text" out of answers, or per_row=False.')
