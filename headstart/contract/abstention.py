"""When a model says nothing: a threshold on its confidence, chosen so that few of its answers are wrong.

M examples.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from headstart.contract.results import Json
from headstart.contract.stages import Learned, Prediction

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from headstart.contract.stages import Floats

ABSTENTION, TEMPERATURE = "abstention", "temperature"  # among what a task learned
ABSTAINED, WITHHELD = "abstained", "withheld"  # columns that predictions have where a model may abstain


@dataclass(frozen=True)
class Tempered:
    """Predictions once the model's outputs are divided by a temperature: the loss of each row, by which the temperature
    is learned, and the confidence of each answer, (M,) each.
    """

    losses: Floats
    confidences: Floats


@dataclass(frozen=True)
class Abstention:
    """The confidence from which on a model answers, so that at most the share `risk` of its answers is wrong, with
    `certainty`; None where no threshold promises that: then it answers nothing.

    What dev said when it was chosen: `coverage`, the share answered of `rows`, the `selective_risk` among these, and
    its upper bound.
    """

    risk: float
    certainty: float
    threshold: float | None
    rows: int
    coverage: float = 0.0
    selective_risk: float | None = None
    risk_bound: float | None = None

    def answers(self, confidence: float) -> bool:
        """Whether it answers with this confidence."""
        return self.threshold is not None and confidence >= self.threshold

    def answer_mask(self, confidences: Floats) -> NDArray[Any]:
        """The same for many confidences, (M,)."""
        return confidences >= (float("inf") if self.threshold is None else self.threshold)

    def json(self) -> dict[str, Json]:
        """The same as a JSON object."""
        return dict(vars(self))

    @staticmethod
    def reads(fields: Json) -> bool:
        """Whether `from_json` can read this: every field, a number, or null where there was no threshold."""
        may_be_null = ("threshold", "selective_risk", "risk_bound")
        return isinstance(fields, dict) and fields.keys() == Abstention.__dataclass_fields__.keys() and all(
            (value is None and name in may_be_null) or type(value) in (int, float) for name, value in fields.items())

    @classmethod
    def from_json(cls, fields: Mapping[str, Json]) -> Abstention:
        """Read back what `json` gave."""
        return cls(**fields)


def confidence(prediction: Prediction) -> float:
    """How sure the model is of a prediction, 0 to 1: of one label its probability; where an answer is more than that,
    the task says it in `detail`.
    """
    return float(prediction.detail["confidence"] if "confidence" in prediction.detail
                 else prediction.values["probability"])


def abstaining(prediction: Prediction, abstention: Abstention, columns: tuple[str, ...]) -> Prediction:
    """The prediction with the column `abstained`; where the model is not sure enough its answer's `columns` are empty,
    and `withheld` holds the first of them. The column `confidence` says how sure it is where `probability` does not.
    """
    sureness: dict[str, Json] = {"confidence": confidence(prediction)} if "confidence" in prediction.detail else {}
    if abstention.answers(confidence(prediction)):
        return replace(prediction, values={**prediction.values, **sureness, ABSTAINED: False, WITHHELD: None})
    emptied: dict[str, Json] = dict.fromkeys(name for name in columns if name in prediction.values)
    best_guess = prediction.values[next(iter(emptied))]
    return replace(prediction, values={**prediction.values, **emptied, **sureness, ABSTAINED: True,
                                       WITHHELD: best_guess})


def with_withheld(values: Mapping[str, Json], columns: tuple[str, ...]) -> Mapping[str, Json]:
    """A row of a file of predictions with the answer that was withheld in its place; any other row as it is."""
    if str(values.get(ABSTAINED)).lower() != "true":
        return values
    answer_column = next((name for name in columns if name in values), "prediction")
    return {**values, answer_column: values.get(WITHHELD)}


def folded_temperature(learned: Learned) -> tuple[Learned, tuple[float, float] | None]:
    """What is left to learn once the temperature is in the last layer's weights, and the (scale, shift) that puts it
    there; None where there is no temperature.
    """
    if TEMPERATURE not in learned.values:
        return learned, None
    values = {name: value for name, value in learned.values.items() if name != TEMPERATURE}
    return replace(learned, values=values), (1 / float(learned.values[TEMPERATURE]), 0.0)
