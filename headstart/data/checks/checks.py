"""The data check: class counts, duplicates, leaks, contradictions, suspicious labels; in plain words.

One pass over each split keeps 64-bit hashes, never texts; what is listed is read again and compared in full.
"""

from __future__ import annotations

import unicodedata
from array import array
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.contract import Example, Json, Task
from headstart.data.checks.similar_classes import ClassProfiles
from headstart.errors import Finding
from headstart.text.normalise import hash_text, normalise_label, normalise_text

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from headstart.contract import Ints

RowLocation = Callable[[int], tuple[str, int | None]]
MAX_LISTED = 20  # findings of one kind that are listed one by one
BLOCK = 2**20
RARE = 5  # a class with fewer training rows is rare


@dataclass
class TextHashes:
    """Of each row of a split: hashes of the exact and of the normalised text, and the label's id."""

    exact: Ints
    normalised: Ints
    labels: NDArray[np.int32]


@dataclass
class DataCheck:
    """Counts and findings of the user's rows."""

    rows: dict[str, int] = field(default_factory=dict)  # split -> rows
    unit: str = "rows"  # what the rows are
    counts: dict[str, dict[str, int]] = field(default_factory=dict)  # split -> label -> rows
    findings: list[Finding] = field(default_factory=list)
    problem_counts: dict[str, int] = field(default_factory=dict)  # duplicates, near_duplicates, contradictions, leaks
    tokenization: dict[str, Json] = field(default_factory=dict)  # split -> shares of what the model cannot read

    def json(self) -> dict[str, Json]:
        """The same as data.json holds it."""
        return {"rows": self.rows, "counts": self.counts, **self.problem_counts,
                **({"tokenization": self.tokenization} if self.tokenization else {})}

    def words(self) -> list[str]:
        """Plain sentences."""
        sentences = []
        for split, counts in self.counts.items():
            rows = self.rows[split]
            ordered = sorted(counts.items(), key=lambda pair: -pair[1])
            if len(ordered) > 8:
                (largest, most_rows), (smallest, least_rows) = ordered[0], ordered[-1]
                label_summary = (f"{len(ordered)} labels, from {largest!r} ({most_rows:,}) to {smallest!r} "
                                 f"({least_rows:,})")
            else:
                label_summary = ", ".join(f"{label!r} {count:,}" for label, count in ordered)
            sentences.append(f"{split}: {rows:,} {self.unit}" + (f"; {label_summary}" if ordered else ""))
        return sentences


def check_splits(task: Task[Any], splits: Mapping[str, Sequence[Example]],
                 locations: Mapping[str, RowLocation]) -> DataCheck:
    """Look through every split; the task's own check is added at the end."""
    data_check = DataCheck()
    label_ids: dict[str | None, int] = {}
    profiles = ClassProfiles()
    hashes = {split: scan_split(task, split, examples, label_ids, data_check, profiles)
              for split, examples in splits.items()}
    check_classes(data_check, splits)
    check_similar_classes(data_check, profiles)
    for split, split_hashes in hashes.items():
        check_duplicates(task, split, splits[split], split_hashes, locations[split], data_check)
    check_leaks(task, splits, hashes, locations, data_check)
    data_check.findings += task.check(splits)
    return data_check


def scan_split(task: Task[Any], split: str, examples: Sequence[Example], label_ids: dict[str | None, int],
               data_check: DataCheck, profiles: ClassProfiles) -> TextHashes:
    """One pass over a split."""
    exact, normalised, labels = array("q"), array("q"), array("i")
    counts: Counter[str] = Counter()
    for example in examples:
        text, stratum = task.dedup_key(example), task.stratum(example)
        exact.append(hash_text(text))
        normalised.append(hash_text(normalise_text(text)))
        labels.append(label_ids.setdefault(stratum, len(label_ids)))
        if stratum is not None:
            counts[stratum] += 1
            if split == "train":
                profiles.add(stratum, text)
    data_check.rows[split] = len(examples)
    data_check.counts[split] = dict(sorted(counts.items()))
    return TextHashes(np.asarray(exact, dtype=np.int64), np.asarray(normalised, dtype=np.int64),
                      np.asarray(labels, dtype=np.int32))


def check_classes(data_check: DataCheck, splits: Mapping[str, Sequence[Example]]) -> None:
    """One class only, rare classes, labels that training never shows, labels that differ by case or space."""
    train = data_check.counts.get("train", {})
    if len(train) == 1 and len(splits["train"]):
        data_check.findings.append(Finding("E203", f"the training rows have one class only, {next(iter(train))!r}.",
                                           "Two labels or more are needed; is this the right label column?"))
    single = [label for label, count in train.items() if count == 1]
    rare = [label for label, count in train.items() if 1 < count < RARE]
    add_label_findings(data_check, "W205", single, "has one training row",
                       "one row is too few to learn a class; add rows, or merge it with another label")
    add_label_findings(data_check, "W206", rare, f"has fewer than {RARE} training rows",
                       "its scores will be unreliable; add rows if you can")
    for split, counts in data_check.counts.items():
        if split != "train":
            unseen = [label for label in counts if label not in train]
            add_label_findings(data_check, "W207", unseen, f"occurs in {split} but never in train",
                               "the model cannot predict it, and every such row counts as wrong")
    spellings: dict[str, list[str]] = {}
    for label in sorted({label for counts in data_check.counts.values() for label in counts}):
        spellings.setdefault(normalise_label(label), []).append(label)
    for variants in spellings.values():
        if len(variants) > 1:
            labels = " and ".join(map(visible_label, variants))
            data_check.findings.append(Finding("W204", f"the labels {labels} differ only by case, space, invisible "
                                               "characters, Unicode form, or as a number is written.",
                                               "They count as different labels; spell them the same if they are one."))


def visible_label(label: str) -> str:
    """A label in quotes, in which what cannot be seen is escaped."""
    is_composed = unicodedata.is_normalized("NFC", label)
    return repr(label) if is_composed and not any(unicodedata.category(character) == "Cf" for character in label) \
        else ascii(label)


def add_label_findings(data_check: DataCheck, code: str, labels: list[str], problem: str, advice: str) -> None:
    """One finding for each label, and one for the rest when they are many."""
    for label in labels[:MAX_LISTED]:
        data_check.findings.append(Finding(code, f"the label {label!r} {problem}.",
                                           advice[:1].upper() + advice[1:] + "."))
    if len(labels) > MAX_LISTED:
        data_check.findings.append(Finding(code, f"the same holds for {len(labels) - MAX_LISTED} more labels.",
                                           count=len(labels) - MAX_LISTED))


def check_similar_classes(data_check: DataCheck, profiles: ClassProfiles) -> None:
    """Pairs of classes whose texts use similar words."""
    for first, second, similarity in profiles.pairs():
        data_check.findings.append(Finding(
            "W209",
            f"the labels {first!r} and {second!r} have texts with the same words (similarity {similarity:.2f}).",
            "Are they one class under two names, or are many of their rows mislabelled?"))


def check_duplicates(task: Task[Any], split: str, examples: Sequence[Example], hashes: TextHashes,
                     location: RowLocation, data_check: DataCheck) -> None:
    """Equal texts within a split: with one label (duplicates), with several (contradictions), equal but for form."""
    first_rows, repeat_rows = repeat_pairs(hashes.exact)
    differ = hashes.labels[first_rows] != hashes.labels[repeat_rows]
    contradictions, exact = int(differ.sum()), int((~differ).sum())
    for code, has_code in (("W203", differ), ("W202", ~differ)):
        for ordinal, pair in enumerate(np.flatnonzero(has_code)[:MAX_LISTED].tolist(), start=1):
            first, second = int(first_rows[pair]), int(repeat_rows[pair])
            if task.dedup_key(examples[first]) != task.dedup_key(examples[second]):
                continue  # two texts of one hash
            if code == "W203":
                first_label, second_label = task.stratum(examples[first]), task.stratum(examples[second])
                add_listed(data_check, code, ordinal, location(second),
                           f"in {split}, this text has the label {second_label!r} here and "
                           f"{first_label!r} {location_text(location(first))}.",
                           "One of them is wrong, or both may be right; decide, and correct the file.")
            else:
                add_listed(data_check, code, ordinal, location(second),
                           f"in {split}, this text occurs a second time (first {location_text(location(first))}).",
                           "Keep one, unless it is meant to count twice.")
    add_remainder(data_check, "W203", contradictions, f"in {split}, texts with two labels")
    add_remainder(data_check, "W202", exact, f"in {split}, texts that occur a second time")
    near_duplicates = max(0, count_repeats(hashes.normalised) - count_repeats(hashes.exact))
    if near_duplicates:
        data_check.findings.append(Finding(
            "W208", f"in {split}, {near_duplicates:,} texts differ from another only in case, space or punctuation."))
    add_count(data_check, "duplicates", exact)
    add_count(data_check, "contradictions", contradictions)
    add_count(data_check, "near_duplicates", near_duplicates)


def check_leaks(task: Task[Any], splits: Mapping[str, Sequence[Example]], hashes: Mapping[str, TextHashes],
                locations: Mapping[str, RowLocation], data_check: DataCheck) -> None:
    """Texts that are in two splits: scores on them measure memory, not skill."""
    names = list(splits)
    for position, later in enumerate(names):
        for earlier in names[:position]:
            order = np.argsort(hashes[earlier].exact, kind="stable")
            sorted_hashes = hashes[earlier].exact[order]
            hits = np.flatnonzero(np.isin(hashes[later].exact, sorted_hashes))
            count = 0
            for index in hits.tolist():
                first = int(order[np.searchsorted(sorted_hashes, hashes[later].exact[index])])
                if task.dedup_key(splits[earlier][first]) != task.dedup_key(splits[later][index]):
                    continue
                count += 1
                add_listed(data_check, "W201", count, locations[later](index),
                           f"this text of {later} is in {earlier} too ({location_text(locations[earlier](first))}): a "
                           "leak.",
                           f"Remove it from {later}, or the score there is too good.")
            add_remainder(data_check, "W201", count, f"texts of {later} are in {earlier} too")
            near_duplicates = int(np.isin(hashes[later].normalised, hashes[earlier].normalised).sum()) - len(hits)
            if near_duplicates > 0:
                data_check.findings.append(Finding(
                    "W208", f"{near_duplicates:,} texts of {later} are in {earlier} too, but for case, space or "
                            "punctuation."))
            add_count(data_check, "leaks", count)


def count_repeats(hashes: Ints) -> int:
    """How many entries repeat an earlier one."""
    ordered = np.sort(hashes)
    return int((ordered[1:] == ordered[:-1]).sum())


def repeat_pairs(hashes: Ints) -> tuple[Ints, Ints]:
    """For every entry that repeats an earlier one: the row of the first, and its own row; in the order of the file."""
    ordered = np.sort(hashes)
    repeated = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
    del ordered
    row_blocks = [np.zeros(0, dtype=np.int64)]
    # in blocks: the whole mask would double the memory
    for start in range(0, len(hashes) if len(repeated) else 0, BLOCK):
        block = hashes[start:start + BLOCK]
        indices = np.minimum(np.searchsorted(repeated, block), len(repeated) - 1)
        row_blocks.append(np.flatnonzero(repeated[indices] == block) + start)
    rows = np.concatenate(row_blocks)
    _, first_of_group, group = np.unique(hashes[rows], return_index=True, return_inverse=True)
    first_rows = rows[first_of_group][group] if len(rows) else rows
    is_repeat = first_rows != rows
    return first_rows[is_repeat], rows[is_repeat]


def add_remainder(data_check: DataCheck, code: str, count: int, description: str) -> None:
    """Say how many more findings there are than were listed."""
    if count > MAX_LISTED:
        data_check.findings.append(Finding(code, f"{count - MAX_LISTED:,} more {description}.",
                                           count=count - MAX_LISTED))


def add_listed(data_check: DataCheck, code: str, ordinal: int, location: tuple[str, int | None], message: str,
               fix: str) -> None:
    """Add one of the first findings of a kind; the count of all is in `problem_counts`."""
    if ordinal <= MAX_LISTED:
        data_check.findings.append(Finding(code, message, fix, location[0], location[1]))


def location_text(location: tuple[str, int | None]) -> str:
    """A location in words."""
    return f"in line {location[1]} of {location[0]}" if location[1] is not None else f"in {location[0]}"


def add_count(data_check: DataCheck, name: str, count: int) -> None:
    """Add to a count of problems."""
    data_check.problem_counts[name] = data_check.problem_counts.get(name, 0) + count
