"""Predictions as a user gets them: a model that may abstain says nothing where it is not sure enough."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from headstart.contract import Prediction, Task
from headstart.contract.abstention import ABSTAINED
from headstart.progress import Reporter


def is_withheld(prediction: Prediction) -> bool:
    """Whether the model said nothing."""
    return bool(prediction.values.get(ABSTAINED))


def report_abstentions(task: Task[Any], predictions: Iterable[Prediction],
                       reporter: Reporter) -> Iterator[Prediction]:
    """The predictions, those that are not sure enough without an answer; when that is, and at the end how many."""
    abstention = task.abstention
    if abstention is None:
        yield from predictions
        return
    reporter.info(f"the model abstains below a confidence of {abstention.threshold:.4f}, so that at most "
                  f"{abstention.risk:.1%} of its answers are wrong (its best guess is in the column withheld)"
                  if abstention.threshold is not None else
                  f"the model abstains on every row: no confidence promised a risk of {abstention.risk:.1%} on dev "
                  "(its best guess is in the column withheld)")
    count = withheld = 0
    for prediction in task.abstaining(predictions):
        count += 1
        withheld += is_withheld(prediction)
        yield prediction
    if count:
        reporter.info(f"abstained on {withheld:,} of {count:,} rows ({withheld / count:.1%})")
