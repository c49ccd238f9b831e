"""What is chosen when the user does not: learning rate and epochs, by rule, with the reason in words."""

from __future__ import annotations

from dataclasses import dataclass

from headstart.settings import Training

LORA = 10  # times the rate of the whole model
WIDTH = 768  # of a base model, for which 5e-5 is the field's habit


@dataclass(frozen=True)
class Choice:
    """A chosen number and why."""

    value: float
    reason: str


def learning_rate(settings: Training, width: int) -> Choice:
    """Peak learning rate: 5e-5 for a width of 768, growing with the square of how much narrower the model is."""
    if settings.learning_rate is not None:
        return Choice(settings.learning_rate, "you chose it")
    value = min(3e-4, max(1e-5, 5e-5 * (WIDTH / width) ** 2))
    value = float(f"{value:.2g}")
    if settings.adapter != "none":
        return Choice(float(f"{LORA * value:.2g}"), f"{LORA} times the rate of the whole model, {value:g}, as it is an "
                                                    "adapter")
    return Choice(value, f"5e-5 suits a model of width 768; this one is {width} wide")


def epochs(settings: Training, rows: int, labels: int) -> Choice:
    """Times through the rows: about 18 steps for each label and at least 120, in 3 to 10 epochs.

    Measured with MiniLM: 77 labels of BANKING77 need 5 epochs (1,410 steps) for 0.930 accuracy; 8 labels on 650 rows
    reach their best dev score after 105 to 126 steps.
    """
    if settings.epochs is not None:
        return Choice(settings.epochs, "you chose it")
    per_epoch = max(1, -(-rows // settings.batch_size))
    value = min(10, max(3, round(max(120, 18 * labels) / per_epoch)))
    step_target = f"about 18 steps for each of {labels} labels, at least 120" if labels else "about 120 steps"
    return Choice(float(value), f"{step_target}, in 3 to 10 epochs")
