"""Predictions as training data: what the task reads of each row, with the prediction as its target."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from headstart.contract import Json, Prediction, Task
from headstart.data.columns import inner_value, root_column
from headstart.data.examples import Reading
from headstart.errors import Exit, UserError, first_names
from headstart.prediction.abstained import is_withheld
from headstart.progress import Reporter

MAX_NAMED = 20  # labels whose rows are counted in a message


def pseudo_target(task: Task[Any]) -> str:
    """The one field that a prediction can take the place of; raises UserError (2)."""
    targets = [field.name for field in task.fields if field.target]
    if len(targets) != 1 or not next(field.required for field in task.fields if field.target):
        raise UserError(f"Predictions of {task.name} are not training data: " + (
            f"its target is {' and '.join(targets)}." if targets else "it learns from texts alone."),
            fix="--as-training-data is for tasks with one target: a label, labels, a number, an answer or a text.")
    return targets[0]


def check_min_probability(min_probability: float | None) -> None:
    """Refuse what is no probability; raises UserError (2)."""
    if min_probability is None or 0 <= min_probability <= 1:
        return
    hint = f"Did you mean {min_probability / 100:g}? " if 1 < min_probability <= 100 else ""
    raise UserError(f"--min-probability takes a number from 0 to 1, but it is {min_probability:g}.",
                    fix=f"{hint}For example --min-probability 0.8")


def pseudo_labelled_rows(task: Task[Any], reading: Reading, predictions: Iterable[Prediction], target: str,
                         reporter: Reporter, min_probability: float | None = None) -> Iterator[dict[str, Json]]:
    """What the task reads of each row, and the prediction as its target; other columns are left out, and rows whose
    prediction has less than `min_probability`. Raises UserError (65) where none is left.
    """
    examples, table = reading.examples, reading.table
    if not len(examples):
        raise UserError(f"{table.path} has no row with a text to predict.", fix="Is the right column named?",
                        exit=Exit.DATA)
    name = next(iter(reading.columns.get(target, ())), target)
    places = {column: root_column(column, table.columns) for field, columns in reading.columns.items()
              if field != target for column in columns}
    sure_rows = SureRows(min_probability, task.learned.labels)
    for count, (row_index, prediction) in enumerate(zip(examples.indices, predictions, strict=True), start=1):
        if sure_rows.takes(prediction):
            values = table[int(row_index)].values
            inputs = {column: inner_value(values[index], rest) for column, (index, rest) in places.items()}
            yield inputs | {name: prediction.values["prediction"]}
        if count % 1000 == 0 or count == len(examples):
            reporter.progress(count, len(examples), "rows")
    sure_rows.report(len(examples), reporter)


class SureRows:
    """Which predictions are sure enough to learn from, and how many of each label were; `labels` are all of them."""

    def __init__(self, min_probability: float | None, labels: Sequence[str] = ()) -> None:
        self.min_probability, self.labels = min_probability, labels
        self.count, self.highest = 0, 0.0
        self.counts: Counter[str] = Counter()

    def takes(self, prediction: Prediction) -> bool:
        """Whether it has the probability, and the model said something; raises UserError (2) for predictions without
        one.
        """
        is_sure = not is_withheld(prediction) and self.is_sure(prediction)
        self.count += is_sure
        if is_sure and self.min_probability is not None:
            self.counts[str(prediction.values["prediction"])] += 1
        return is_sure

    def is_sure(self, prediction: Prediction) -> bool:
        """Whether a prediction has the probability."""
        if self.min_probability is None:
            return True
        probability = prediction.values.get("probability")
        if not isinstance(probability, int | float):
            raise UserError("--min-probability is for predictions of one label, each with a probability; these have "
                            f"{'a probability for each label' if isinstance(probability, list) else 'none'}.",
                            fix="Leave it out; --as-training-data alone takes every row.")
        self.highest = max(self.highest, probability)
        return probability >= self.min_probability

    def report(self, rows: int, reporter: Reporter) -> None:
        """How many rows were taken, label by label; raises UserError (65) where none was."""
        if self.min_probability is None:
            if not self.count:
                raise UserError(f"The model says nothing of any of {rows:,} rows.",
                                fix="Choose a model that abstains less often.", exit=Exit.DATA)
            return
        if not self.count:
            raise UserError(f"None of {rows:,} predictions has a probability of {self.min_probability:g} or more; the "
                            f"highest is {self.highest:.4f}.", fix="Choose a lower --min-probability.", exit=Exit.DATA)
        labels = ", ".join(f"{label} {count:,}" for label, count in self.counts.most_common(MAX_NAMED))
        ending = f" … ({len(self.counts)} labels)" if len(self.counts) > MAX_NAMED else ""
        reporter.info(f"{self.count:,} of {rows:,} rows have a probability of {self.min_probability:g} or more: "
                      f"{labels}{ending}")
        if missing := [label for label in self.labels if label not in self.counts]:
            reporter.warning(f"no row is left of {len(missing):,} of {len(self.labels):,} labels: "
                             f"{first_names(missing, MAX_NAMED)}; a model that is trained on these rows never answers "
                             "with one (a lower --min-probability keeps more)")
