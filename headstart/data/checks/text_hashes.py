"""Hashes of the texts of a split, by which equal and nearly equal ones are found; texts are not kept.

Shapes: M texts of a split. A hash is Python's own of 64 bits: it holds for this process only and is never written.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.contract import Example, Task
from headstart.data.checks.similar_classes import ClassProfiles
from headstart.text.normalise import letters_of, normalise_text

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from headstart.contract import Ints

BLOCK = 2**20
# What pandas, databases, R and spreadsheets write for a missing value or an error.
MISSING_WORDS = frozenset(("nan", "NaN", "NAN", "<NA>", "NULL", "null", "None", "NA", "N/A", "n/a", "\\N", "#N/A",
                           "#NA", "#VALUE!", "#REF!", "#NAME?", "#DIV/0!", "#NULL!", "#NUM!", "undefined",
                           "[object Object]"))


@dataclass
class TextHashes:
    """Of each row of a split: hashes of the exact and of the normalised text, and the label's id."""

    exact: Ints
    normalised: Ints
    labels: NDArray[np.int32]


class SplitScan:
    """What one pass over a split keeps: a hash of each text, one of its letters, and its label's id."""

    def __init__(self, label_ids: dict[str | None, int], profiles: ClassProfiles | None) -> None:
        self.label_ids, self.profiles = label_ids, profiles
        self.exact, self.letters, self.labels = array("q"), array("q"), array("i")
        self.missing: list[int] = []  # rows whose text is a word that programs write where there is none

    def watched(self, task: Task[Any], examples: Iterable[Example]) -> Iterator[Example]:
        """The examples, each looked at as it passes."""
        add_exact, add_letters, add_label = self.exact.append, self.letters.append, self.labels.append
        for example in examples:
            text, stratum = task.dedup_key(example), task.stratum(example)
            add_exact(hash(text))
            add_letters(hash(letters_of(text)))
            add_label(self.label_ids.setdefault(stratum, len(self.label_ids)))
            if text in MISSING_WORDS:
                self.missing.append(len(self.exact) - 1)
            if stratum is not None and self.profiles is not None:
                self.profiles.add(stratum, text)
            yield example

    def label_counts(self) -> list[int]:
        """How many rows each label's id has."""
        counts: list[int] = np.bincount(np.asarray(self.labels, dtype=np.int32)).tolist()
        return counts


def scan_split(task: Task[Any], examples: Iterable[Example], label_ids: dict[str | None, int],
               profiles: ClassProfiles | None) -> SplitScan:
    """One pass over a split."""
    scan = SplitScan(label_ids, profiles)
    for _ in scan.watched(task, examples):
        pass
    return scan


def text_hashes(task: Task[Any], splits: Mapping[str, Sequence[Example]],
                scans: Mapping[str, SplitScan]) -> dict[str, TextHashes]:
    """The hashes of every split.

    Texts that are equal but for case, space and punctuation have the same letters: the others need not be normalised,
    which takes six times as long.
    """
    exact = np.concatenate([np.asarray(scan.exact, dtype=np.int64) for scan in scans.values()])
    letters = np.concatenate([np.asarray(scan.letters, dtype=np.int64) for scan in scans.values()])
    rows = rows_of_repeats(letters)
    unlike = rows[is_shared_by_several(letters[rows], exact[rows])]
    bounds = np.cumsum([0, *(len(scan.exact) for scan in scans.values())]).tolist()
    hashes = {}
    for (split, scan), start, end in zip(scans.items(), bounds[:-1], bounds[1:], strict=True):
        normalised = letters[start:end]
        for row in (unlike[(unlike >= start) & (unlike < end)] - start).tolist():
            normalised[row] = hash(normalise_text(task.dedup_key(splits[split][row])))
        hashes[split] = TextHashes(exact[start:end], normalised, np.asarray(scan.labels, dtype=np.int32))
    return hashes


def is_shared_by_several(groups: Ints, members: Ints) -> NDArray[np.bool_]:
    """Of each entry, whether its group has more than one member: (K,), (K,) -> (K,)."""
    if not len(groups):
        return np.zeros(0, dtype=np.bool_)
    _, group_numbers = np.unique(groups, return_inverse=True)
    smallest = np.full(int(group_numbers.max()) + 1, np.iinfo(np.int64).max)
    largest = np.full(len(smallest), np.iinfo(np.int64).min)
    np.minimum.at(smallest, group_numbers, members)
    np.maximum.at(largest, group_numbers, members)
    is_shared: NDArray[np.bool_] = (smallest != largest)[group_numbers]
    return is_shared


def count_repeats(hashes: Ints) -> int:
    """How many entries repeat an earlier one."""
    ordered = np.sort(hashes)
    return int((ordered[1:] == ordered[:-1]).sum())


def rows_of_repeats(hashes: Ints) -> Ints:
    """The rows whose hash another row has too, in the order of the file."""
    ordered = np.sort(hashes)
    repeats = ordered[1:][ordered[1:] == ordered[:-1]]
    repeated = repeats[np.append(True, repeats[1:] != repeats[:-1])[:len(repeats)]]  # np.unique would import numpy.ma
    del ordered, repeats
    row_blocks = [np.zeros(0, dtype=np.int64)]
    # in blocks: the whole mask would double the memory
    for start in range(0, len(hashes) if len(repeated) else 0, BLOCK):
        block = hashes[start:start + BLOCK]
        indices = np.minimum(np.searchsorted(repeated, block), len(repeated) - 1)
        row_blocks.append(np.flatnonzero(repeated[indices] == block) + start)
    return np.concatenate(row_blocks)


def repeat_pairs(hashes: Ints) -> tuple[Ints, Ints]:
    """For every entry that repeats an earlier one: the row of the first, and its own row; in the order of the file."""
    rows = rows_of_repeats(hashes)
    if not len(rows):
        return rows, rows
    _, first_of_group, group = np.unique(hashes[rows], return_index=True, return_inverse=True)
    first_rows = rows[first_of_group][group]
    is_repeat = first_rows != rows
    return first_rows[is_repeat], rows[is_repeat]
