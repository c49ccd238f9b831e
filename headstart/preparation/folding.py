"""Whether rows are scored in folds, in how many, and which row is in which: decided before anything is trained.

M rows.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headstart.contract import Json, Task
from headstart.data.examples import Examples
from headstart.data.splits import fold_rows
from headstart.errors import Exit, UserError, first_names
from headstart.settings import list_settings
from headstart.settings.run_settings import RunSettings
from headstart.text.normalise import hash_text

if TYPE_CHECKING:
    from headstart.contract import Ints

FEW_ROWS = 200  # below so many, a tenth of the rows says too little of a model: ±10 points and more
USUAL_FOLDS, FEWEST_FOLDS = 5, 3  # of few rows: each model trains on four fifths; on two thirds where a class is rare
# What is read only where dev, or test, is split off: whoever sets one wants that, so few rows alone make no folds.
SPLIT_SETTINGS = ("data.split", "data.train_rows", "data.dev_rows", "data.test_rows", "data.select_slice",
                  "training.evaluate_every", "training.keep_best", "training.patience", "evaluation.metric")


@dataclass(frozen=True)
class Folds:
    """Each training row's fold, from 0: every row is predicted by a model that was trained on the other folds."""

    count: int
    of_row: Ints  # (M,)
    reason: str
    class_sizes: Mapping[str, int]  # rows of each class, equal texts once; {} where the task has none

    def json(self) -> dict[str, Json]:
        """For data.json: folds count from 1 there."""
        return {"count": self.count, "of_row": self.numbers()}

    def numbers(self) -> list[int]:
        """The number of each row's fold, from 1."""
        return [int(fold) + 1 for fold in self.of_row]

    def words(self) -> str:
        """What is said of them before anything is trained."""
        how = ("stratified by label, " if self.class_sizes else "") + "equal texts together"
        return (f"folds: {self.count} ({how}), because {self.reason}: each row is scored by a model trained without "
                "it, and the model that is saved is trained on all rows; --folds 0 splits dev and test off instead")

    def warning(self) -> str:
        """What no fold's model can learn; "" where there is nothing."""
        alone = [label for label, size in self.class_sizes.items() if size == 1]
        if not alone:
            return ""
        names = first_names([repr(label) for label in alone], 5)
        return (f"These classes have one row each, which counts as wrong: {names}. The model that predicts such a row "
                "has seen no other of its class.")

    def train_places(self, fold: int) -> Ints:
        """The places of the rows that a fold's model is trained on."""
        import numpy as np

        return np.flatnonzero(self.of_row != fold)

    def held_out_places(self, fold: int) -> Ints:
        """The places of the rows that it predicts."""
        import numpy as np

        return np.flatnonzero(self.of_row == fold)


def is_asked_for(settings: RunSettings) -> bool:
    """Whether the settings name folds; without a number, and with 0 or 1, they do not."""
    return (settings.evaluation.folds or 0) > 1


def wants_folds(task: Task[Any], train: Examples, settings: RunSettings, splits: Collection[str]) -> bool:
    """Whether rows are scored in folds: as asked for, else where they are few and nothing asks for a split.

    `splits` are those that files hold. Raises UserError (2, 78) for folds that cannot be made.
    """
    refusal = task.folds_refusal
    if train.is_running_text or task.reads_text_as != "lines":
        refusal = f"{task.name} is scored on running tokens or on pairs made of them, not row by row"
    if is_asked_for(settings):
        folds = settings.evaluation.folds
        if refusal:
            raise UserError(f"evaluation.folds is {folds}, but {refusal}.",
                            fix="Leave --folds out: dev and test are split off.", exit=Exit.SETTINGS)
        if "dev" in splits:
            raise UserError(f"evaluation.folds is {folds}, but there are dev rows: with folds every training row is "
                            "scored by a model trained without it, and nothing is left for dev to choose.",
                            fix="Leave --folds out, or the dev rows; to score both files in folds, train on both: "
                                "headstart finetune TRAIN DEV --folds 5", exit=Exit.SETTINGS)
        if settings.data.test_rows is not None and not any(name.startswith("test") for name in splits):
            raise UserError(f"data.test_rows is {settings.data.test_rows:g}, but with evaluation.folds no test rows "
                            "are split off.", fix="Leave it out, or name a file with --test.", exit=Exit.SETTINGS)
        return True
    return (settings.evaluation.folds is None and "dev" not in splits and not refusal and len(train) < FEW_ROWS
            and not changed_split_settings(settings))


def changed_split_settings(settings: RunSettings) -> list[str]:
    """The settings that were changed and that only split rows read."""
    values = settings.by_key()
    defaults = {setting.key: setting.default for name, group in (("data", settings.data),
                                                                 ("training", settings.training),
                                                                 ("evaluation", settings.evaluation))
                for setting in list_settings(name, type(group))}
    return [key for key in SPLIT_SETTINGS if values[key] != defaults[key]]


def make_folds(task: Task[Any], train: Examples, settings: RunSettings) -> Folds | None:
    """The folds of the training rows; None where few rows were to be scored in folds and are too few for that.

    Raises UserError (78) for more folds than there are rows, groups, or rows of a class.
    """
    import numpy as np

    keys, strata, labels = fold_arrays(task, train)
    key_count, sizes = len(np.unique(keys)), class_sizes(keys, strata, labels)
    if is_asked_for(settings):
        count, reason = settings.evaluation.folds or 0, "you chose it"
        refuse_too_many(count, len(train), key_count, sizes)
    else:
        count = min(USUAL_FOLDS, key_count, *(max(FEWEST_FOLDS, size) for size in sizes.values() if size > 1))
        reason = f"{len(train):,} rows are too few to set some aside"
    if count < 2:
        return None
    return Folds(count, fold_rows(keys, strata, count, settings.seed), reason, sizes)


def fold_arrays(task: Task[Any], train: Examples) -> tuple[Ints, Ints, list[str | None]]:
    """What keeps rows in one fold, as numbers, (M,); the number of each row's stratum, (M,); the strata.

    Rows of one split key, of one text, or of one group stay together, and so do those that are linked through others.
    """
    import numpy as np

    parents: list[int] = []

    def root(number: int) -> int:
        while parents[number] != number:
            parents[number] = number = parents[parents[number]]
        return number

    first_rows: dict[tuple[str, Hashable], int] = {}
    strata, stratum_numbers = np.zeros(len(train), dtype=np.int64), dict[str | None, int]()
    for place, example in enumerate(train):
        parents.append(place)
        for key in (("split", hash_text(task.split_key(example))), ("text", hash_text(task.dedup_key(example))),
                    ("group", task.group(example))):
            parents[root(place)] = root(first_rows.setdefault(key, place))
        strata[place] = stratum_numbers.setdefault(task.stratum(example), len(stratum_numbers))
    return np.asarray([root(place) for place in range(len(train))], dtype=np.int64), strata, list(stratum_numbers)


def class_sizes(keys: Ints, strata: Ints, labels: list[str | None]) -> dict[str, int]:
    """How many rows, or groups of rows, each class has; {} where the task has no classes."""
    import numpy as np

    return {label: len(np.unique(keys[strata == number])) for number, label in enumerate(labels) if label is not None}


def refuse_too_many(count: int, rows: int, keys: int, classes: Mapping[str, int]) -> None:
    """Refuse more folds than can each have rows, or rows of every class; raises UserError (78)."""
    if count > keys:
        groups = "" if keys == rows else (f", in {keys:,} groups that stay together (equal texts, or questions on one "
                                          "passage)")
        raise UserError(f"evaluation.folds is {count}, but there are {rows:,} rows{groups}.",
                        fix=f"Take {keys} at most: --folds {min(keys, USUAL_FOLDS)}" if keys > 1 else
                        "Give more rows, or leave --folds out.", exit=Exit.SETTINGS)
    label, size = min(classes.items(), key=lambda pair: pair[1], default=("", count))
    if count > size:
        few = f"the class {label!r} has {size:,} row{'' if size == 1 else 's'} (equal texts count once)"
        raise UserError(f"evaluation.folds is {count}, but {few}: not every fold would contain it.",
                        fix=f"Take {size} at most (--folds {size}), or add rows of that class." if size > 1 else
                        "Add rows of that class, leave its row out, or leave --folds out.", exit=Exit.SETTINGS)
