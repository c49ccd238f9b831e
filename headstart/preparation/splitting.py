"""train, dev and test: the files that were named as they are, what is missing split off the training rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from headstart.contract import Task
from headstart.data import splits
from headstart.data.examples import Examples, Reading
from headstart.preparation.slices import selected_slice
from headstart.settings import Data
from headstart.text.normalise import hash_text

if TYPE_CHECKING:
    from headstart.contract import Ints


def make_splits(task: Task[Any], readings: Mapping[str, Reading], settings: Data, *, seed: int) -> dict[str, Examples]:
    """train, dev and test (and further ones), in that order; parts of them where `data.train_rows` and so on say so."""
    examples = {name: reading.examples for name, reading in readings.items()}
    shares = splits.parse_shares(settings.split)
    missing = ["train", "dev", "test"]
    if "dev" in examples:
        missing = ["train"]  # with a dev file, what is not named is not cut out of train
    elif any(name.split("/")[0] == "test" for name in examples):
        missing.remove("test")
    if len(missing) > 1:
        keys, strata = split_arrays(task, examples["train"])
        portions = shares[:len(missing)] if len(missing) == 3 else (1 - shares[1] / sum(shares),
                                                                    shares[1] / sum(shares))
        index_parts = splits.split_rows(keys, strata, tuple(portions), seed)
        train = examples["train"]
        examples |= {name: train.part(indices) for name, indices in zip(missing, index_parts, strict=True)}
    if settings.select_slice and "dev" in examples:
        examples["dev"] = selected_slice(examples["dev"], settings)
    amounts = {"train": settings.train_rows, "dev": settings.dev_rows, "test": settings.test_rows}
    for name, rows in examples.items():
        amount = amounts.get(name.split("/")[0])
        if amount is not None:
            import numpy as np

            _, strata = split_arrays(task, rows)
            examples[name] = rows.part(splits.sample_rows(np.arange(len(rows)), strata, amount, seed))
    order = [name for name in ("train", "dev", "test") if name in examples]
    return {name: examples[name] for name in [*order, *sorted(set(examples) - set(order))]}


def split_arrays(task: Task[Any], examples: Examples) -> tuple[Ints, Ints]:
    """The hash of what each example is split by, and the number of its stratum, as arrays."""
    import numpy as np

    keys, strata = np.zeros(len(examples), dtype=np.int64), np.zeros(len(examples), dtype=np.int64)
    stratum_numbers: dict[str | None, int] = {}
    for index, example in enumerate(examples):
        keys[index] = hash_text(task.split_key(example))
        strata[index] = stratum_numbers.setdefault(task.stratum(example), len(stratum_numbers))
    return keys, strata
