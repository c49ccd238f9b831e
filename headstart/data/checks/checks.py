"""The data check: class counts, duplicates, leaks, contradictions, suspicious labels; in plain words.

One pass over each split keeps 64-bit hashes, never texts; what is listed is read again and compared in full.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from headstart.contract import Example, Json, Task
from headstart.data.checks.first_look import FirstLook
from headstart.data.checks.label_in_text import find_labels_in_texts
from headstart.data.checks.label_spellings import SPELLING_ADVICE, spelling_messages
from headstart.data.checks.similar_classes import ClassProfiles
from headstart.data.checks.text_hashes import TextHashes, count_repeats, repeat_pairs, scan_split, text_hashes
from headstart.errors import Finding

RowLocation = Callable[[int], tuple[str, int | None]]
MAX_LISTED = 20  # findings of one kind that are listed one by one
RARE = 5  # a class with fewer training rows is rare


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
            unit = self.unit if rows != 1 else self.unit.replace("rows", "row").replace("pieces", "piece")
            sentences.append(f"{split}: {rows:,} {unit}" + (f"; {label_summary}" if ordered else ""))
        return sentences


def check_splits(task: Task[Any], splits: Mapping[str, Sequence[Example]],
                 locations: Mapping[str, RowLocation], look: FirstLook | None = None) -> DataCheck:
    """Look through every split; the task's own check is added at the end.

    `look` has seen the training rows when they were read.
    """
    data_check, look = DataCheck(), look or FirstLook()
    scans = {split: look.scan if look.scan is not None and split == "train" else
             scan_split(task, examples, look.label_ids, look.profiles if split == "train" else None)
             for split, examples in splits.items()}
    names = {number: label for label, number in look.label_ids.items()}
    for split, scan in scans.items():
        data_check.rows[split] = len(splits[split])
        counts = {names[number]: count for number, count in enumerate(scan.label_counts()) if count}
        data_check.counts[split] = {label: counts[label] for label in sorted(
            label for label in counts if label is not None)}
        check_missing(task, split, splits[split], scan.missing, locations[split], data_check)
    hashes = text_hashes(task, splits, scans)
    check_classes(data_check, splits)
    check_similar_classes(data_check, look.profiles)
    if "train" in splits:
        data_check.findings += find_labels_in_texts(task, splits["train"], list(data_check.counts["train"]))
    for split, split_hashes in hashes.items():
        check_duplicates(task, split, splits[split], split_hashes, locations[split], data_check)
    check_leaks(task, splits, hashes, locations, data_check)
    data_check.findings += task.check(splits)
    return data_check


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
    labels = {label for counts in data_check.counts.values() for label in counts}
    data_check.findings += [Finding("W204", message, SPELLING_ADVICE) for message in spelling_messages(labels)]


def check_missing(task: Task[Any], split: str, examples: Sequence[Example], rows: Sequence[int], location: RowLocation,
                  data_check: DataCheck) -> None:
    """Texts that programs write where there is none."""
    for ordinal, row in enumerate(rows[:MAX_LISTED], start=1):
        add_listed(data_check, "W212", ordinal, location(row),
                   f"in {split}, the text is {task.dedup_key(examples[row])!r}, which programs write where there is "
                   "none.", "Leave the row out, unless it is meant.")
    add_remainder(data_check, "W212", len(rows), f"in {split}, texts that stand for a missing value")


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
