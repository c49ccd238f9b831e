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

WHOLE_DOCUMENTS = 20  # documents from which on each goes to one split as a whole

if TYPE_CHECKING:
    from headstart.contract import Ints


def make_splits(task: Task[Any], readings: Mapping[str, Reading], settings: Data, *, seed: int,
                in_folds: bool = False) -> dict[str, Examples]:
    """train, dev and test (and further ones), in that order; parts of them where `data.train_rows` and so on say so.

    With `in_folds` nothing is split off.
    """
    examples = {name: reading.examples for name, reading in readings.items()}
    shares = splits.parse_shares(settings.split)
    missing = ["train", "dev", "test"]
    if "dev" in examples or in_folds:
        missing = ["train"]  # with a dev file, what is not named is not cut out of train
    elif any(name.split("/")[0] == "test" for name in examples):
        missing.remove("test")
    if len(missing) > 1:
        train = examples["train"]
        portions = shares[:len(missing)] if len(missing) == 3 else (1 - shares[1] / sum(shares),
                                                                    shares[1] / sum(shares))
        index_parts = split_running_text(train, tuple(portions), seed) if train.is_running_text else \
            splits.split_rows(*split_arrays(task, train), tuple(portions), seed)
        examples |= {name: train.part(indices) for name, indices in zip(missing, index_parts, strict=True)}
    if settings.select_slice and "dev" in examples:
        examples["dev"] = selected_slice(examples["dev"], settings)
    amounts = {"train": settings.train_rows, "dev": settings.dev_rows, "test": settings.test_rows}
    for name, rows in examples.items():
        amount = amounts.get(name.split("/")[0])
        if amount is not None:
            examples[name] = rows.part(sample(task, rows, amount, seed))
    return in_order(examples)


def in_order(examples: Mapping[str, Examples]) -> dict[str, Examples]:
    """Splits as they are told of: train, dev, test, then the others by name. A leak is one from the earlier ones."""
    order = [name for name in ("train", "dev", "test") if name in examples]
    return {name: examples[name] for name in [*order, *sorted(set(examples) - set(order))]}


def sample(task: Task[Any], rows: Examples, amount: float, seed: int) -> Ints:
    """The places of a part of the rows: drawn, but of running text the first ones, which follow one another."""
    import numpy as np

    if rows.is_running_text:
        return np.arange(splits.sample_size_of(amount, len(rows)))
    _, strata = split_arrays(task, rows)
    return splits.sample_rows(np.arange(len(rows)), strata, amount, seed)


def split_running_text(train: Examples, shares: tuple[float, ...], seed: int) -> list[Ints]:
    """Places of each split's pieces: of many documents whole ones are drawn; few are cut, each into its first part for
    train, the next for dev and the last for test.
    """
    import numpy as np

    documents, lengths = piece_documents(train)
    count = int(documents.max()) + 1
    if count >= WHOLE_DOCUMENTS:
        return splits.split_rows(documents, np.zeros_like(documents), shares, seed)
    parts = [splits.cut_document(np.flatnonzero(documents == document), lengths, shares) for document in range(count)]
    return [np.concatenate(split_parts) for split_parts in zip(*parts, strict=True)]


def piece_documents(rows: Examples) -> tuple[Ints, Ints]:
    """The number of each piece's document, in the order of the file, and its characters: (M,), (M,)."""
    import numpy as np

    numbers: dict[str, int] = {}
    documents, lengths = np.zeros(len(rows), dtype=np.int64), np.zeros(len(rows), dtype=np.int64)
    for place, index in enumerate(rows.indices):
        text, document, _ = rows.rows.table[int(index)].values
        documents[place], lengths[place] = numbers.setdefault(document, len(numbers)), len(text)
    return documents, lengths


def describe_split(readings: Mapping[str, Reading], settings: Data) -> str:
    """How a running text was split, in words; "" for rows, and where every split has a file."""
    train = readings["train"].examples
    if not train.is_running_text or "dev" in readings:
        return ""
    share = splits.parse_shares(settings.split)
    if any(name.split("/")[0] == "test" for name in readings):
        share = (1 - share[1], share[1], 0.0)
    count = len({train.rows.table[int(index)].values[1] for index in train.indices})
    if count >= WHOLE_DOCUMENTS:
        return f"split: of {count:,} documents, whole ones are drawn for each split"
    last = f", the last {share[2]:.0%} are test" if share[2] else ""
    return (f"split: the first {share[0]:.0%} of {'the text' if count == 1 else 'each document'} are train, the next "
            f"{share[1]:.0%} dev{last}; nothing is shuffled")


def split_arrays(task: Task[Any], examples: Examples) -> tuple[Ints, Ints]:
    """The hash of what each example is split by, and the number of its stratum, as arrays."""
    import numpy as np

    keys, strata = np.zeros(len(examples), dtype=np.int64), np.zeros(len(examples), dtype=np.int64)
    stratum_numbers: dict[str | None, int] = {}
    for index, example in enumerate(examples):
        keys[index] = hash_text(task.split_key(example))
        strata[index] = stratum_numbers.setdefault(task.stratum(example), len(stratum_numbers))
    return keys, strata
