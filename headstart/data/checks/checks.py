"""The data check: class counts, duplicates, leaks, contradictions, suspicious labels; in plain words.

One pass over each split keeps 64-bit hashes, never texts; what is named is read again and compared for real.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.contract import Example, Json, Task
from headstart.data.checks.similar_classes import Profiles
from headstart.errors import Finding
from headstart.text.normalise import hash_text, normalised

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from headstart.contract import Ints

Place = Callable[[int], tuple[str, int | None]]
NAMED = 20  # findings of one kind that are named one by one
BLOCK = 2**20
RARE = 5  # a class with fewer training rows is rare


@dataclass
class Seen:
    """What one pass over a split leaves: hashes of the exact and normalised text, label numbers."""

    exact: Ints
    loose: Ints
    label: NDArray[np.int32]


@dataclass
class Check:
    """What was found in the user's rows."""

    rows: dict[str, int] = field(default_factory=dict)  # split -> rows
    counts: dict[str, dict[str, int]] = field(default_factory=dict)  # split -> label -> rows
    findings: list[Finding] = field(default_factory=list)
    numbers: dict[str, int] = field(default_factory=dict)  # duplicates, near_duplicates, contradictions, leaks

    def json(self) -> dict[str, Json]:
        """The same as data.json holds it."""
        return {"rows": self.rows, "counts": self.counts, **self.numbers}

    def words(self) -> list[str]:
        """Plain sentences."""
        found = []
        for split, counts in self.counts.items():
            rows = self.rows[split]
            ordered = sorted(counts.items(), key=lambda pair: -pair[1])
            if len(ordered) > 8:
                shown = f"{len(ordered)} labels, from {ordered[0][0]!r} ({ordered[0][1]:,}) to {ordered[-1][0]!r} ({ordered[-1][1]:,})"
            else:
                shown = ", ".join(f"{label!r} {count:,}" for label, count in ordered)
            found.append(f"{split}: {rows:,} rows; {shown}" if ordered else f"{split}: {rows:,} rows")
        return found


def check(task: Task[Any], splits: Mapping[str, Sequence[Example]], places: Mapping[str, Place]) -> Check:
    """Look through every split; the task's own check is added at the end."""
    made = Check()
    labels: dict[str | None, int] = {}
    profiles = Profiles()
    seen = {split: look(task, split, examples, labels, made, profiles) for split, examples in splits.items()}
    classes(made, splits)
    twins(made, profiles)
    for split, held in seen.items():
        duplicates(task, split, splits[split], held, places[split], made)
    leaks(task, splits, seen, places, made)
    made.findings += task.check(splits)
    return made


def look(task: Task[Any], split: str, examples: Sequence[Example], labels: dict[str | None, int], made: Check,
         profiles: Profiles) -> Seen:
    """One pass over a split."""
    exact, loose, label = array("q"), array("q"), array("i")
    counts: Counter[str] = Counter()
    for example in examples:
        text, stratum = task.subject(example), task.stratum(example)
        exact.append(hash_text(text))
        loose.append(hash_text(normalised(text)))
        label.append(labels.setdefault(stratum, len(labels)))
        if stratum is not None:
            counts[stratum] += 1
            if split == "train":
                profiles.add(stratum, text)
    made.rows[split] = len(examples)
    made.counts[split] = dict(sorted(counts.items()))
    return Seen(np.asarray(exact, dtype=np.int64), np.asarray(loose, dtype=np.int64), np.asarray(label, dtype=np.int32))


def classes(made: Check, splits: Mapping[str, Sequence[Example]]) -> None:
    """One class only, rare classes, labels that training never shows, labels that differ by case or space."""
    train = made.counts.get("train", {})
    if len(train) == 1 and len(splits["train"]):
        made.findings.append(Finding("E203", f"the training rows have one class only, {next(iter(train))!r}.",
                                     "Two labels or more are needed; is this the right label column?"))
    alone = [label for label, count in train.items() if count == 1]
    rare = [label for label, count in train.items() if 1 < count < RARE]
    several(made, "W205", alone, "has one training row", "one row is no class to learn; add rows or join it to another label")
    several(made, "W206", rare, f"has fewer than {RARE} training rows", "its scores will be luck; add rows if you can")
    for split, counts in made.counts.items():
        if split != "train":
            unseen = [label for label in counts if label not in train]
            several(made, "W207", unseen, f"stands in {split} but never in train",
                    "the model cannot answer it, and every such row counts as wrong")
    forms: dict[str, list[str]] = {}
    for label in sorted({label for counts in made.counts.values() for label in counts}):
        forms.setdefault(" ".join(label.casefold().split()), []).append(label)
    for alike in forms.values():
        if len(alike) > 1:
            made.findings.append(Finding("W204", f"the labels {' and '.join(map(repr, alike))} differ only by case or space.",
                                         "They are taken as different; write them one way if they are the same."))


def several(made: Check, code: str, labels: list[str], what: str, advice: str) -> None:
    """One finding for each label, and one for the rest when they are many."""
    for label in labels[:NAMED]:
        made.findings.append(Finding(code, f"the label {label!r} {what}.", advice[:1].upper() + advice[1:] + "."))
    if len(labels) > NAMED:
        made.findings.append(Finding(code, f"so it is with {len(labels) - NAMED} more labels."))


def twins(made: Check, profiles: Profiles) -> None:
    """Pairs of classes whose texts use the same words."""
    for first, second, likeness in profiles.pairs():
        made.findings.append(Finding(
            "W209", f"the labels {first!r} and {second!r} stand on texts with the same words (likeness {likeness:.2f}).",
            "Are they one class written twice, or is one of them often given by mistake?"))


def duplicates(task: Task[Any], split: str, examples: Sequence[Example], seen: Seen, place: Place, made: Check) -> None:
    """Equal texts within a split: with one label (duplicates), with several (contradictions), equal but for form."""
    firsts, laters = pairs(seen.exact)
    differ = seen.label[firsts] != seen.label[laters]
    contradictions, exact = int(differ.sum()), int((~differ).sum())
    for code, chosen in (("W203", differ), ("W202", ~differ)):
        for number, at in enumerate(np.flatnonzero(chosen)[:NAMED].tolist(), start=1):
            first, second = int(firsts[at]), int(laters[at])
            if task.subject(examples[first]) != task.subject(examples[second]):
                continue  # two texts of one hash
            if code == "W203":
                named(made, code, number, place(second), f"in {split}, this text has the label "
                      f"{task.stratum(examples[second])!r} here and {task.stratum(examples[first])!r} {where(place(first))}.",
                      "One of them is wrong, or both may be right; decide, and mend the file.")
            else:
                named(made, code, number, place(second),
                      f"in {split}, this text stands a second time (first {where(place(first))}).",
                      "Keep one, unless it is meant to count twice.")
    rest(made, "W203", contradictions, f"in {split}, texts with two labels")
    rest(made, "W202", exact, f"in {split}, texts that stand a second time")
    near = max(0, repeats(seen.loose) - repeats(seen.exact))
    if near:
        made.findings.append(Finding("W208", f"in {split}, {near:,} texts equal another but for case, space or punctuation."))
    add(made, "duplicates", exact)
    add(made, "contradictions", contradictions)
    add(made, "near_duplicates", near)


def leaks(task: Task[Any], splits: Mapping[str, Sequence[Example]], seen: Mapping[str, Seen],
          places: Mapping[str, Place], made: Check) -> None:
    """Texts that stand in two splits: scores on them are memory, not skill."""
    names = list(splits)
    for number, later in enumerate(names):
        for earlier in names[:number]:
            order = np.argsort(seen[earlier].exact, kind="stable")
            sorted_hashes = seen[earlier].exact[order]
            hits = np.flatnonzero(np.isin(seen[later].exact, sorted_hashes))
            count = 0
            for index in hits.tolist():
                first = int(order[np.searchsorted(sorted_hashes, seen[later].exact[index])])
                if task.subject(splits[earlier][first]) != task.subject(splits[later][index]):
                    continue
                count += 1
                named(made, "W201", count, places[later](index),
                      f"this text of {later} stands in {earlier} too ({where(places[earlier](first))}): a leak.",
                      f"Remove it from {later}, or the score there is too good.")
            near = int(np.isin(seen[later].loose, seen[earlier].loose).sum()) - len(hits)
            if near > 0:
                made.findings.append(Finding("W208", f"{near:,} texts of {later} stand in {earlier} but for case, space or punctuation."))
            add(made, "leaks", count)


def repeats(hashes: Ints) -> int:
    """How many entries stand before already."""
    ordered = np.sort(hashes)
    return int((ordered[1:] == ordered[:-1]).sum())


def pairs(hashes: Ints) -> tuple[Ints, Ints]:
    """For every entry that stands before already: where first, and where now; in the order of the file."""
    ordered = np.sort(hashes)
    twice = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
    del ordered
    found = [np.zeros(0, dtype=np.int64)]
    for begin in range(0, len(hashes) if len(twice) else 0, BLOCK):  # in blocks: the whole mask would double the memory
        block = hashes[begin:begin + BLOCK]
        at = np.minimum(np.searchsorted(twice, block), len(twice) - 1)
        found.append(np.flatnonzero(twice[at] == block) + begin)
    places = np.concatenate(found)
    _, first, group = np.unique(hashes[places], return_index=True, return_inverse=True)
    firsts = places[first][group] if len(places) else places
    later = firsts != places
    return firsts[later], places[later]


def rest(made: Check, code: str, count: int, words: str) -> None:
    """Say how many more there are than were named."""
    if count > NAMED:
        made.findings.append(Finding(code, f"{count - NAMED:,} more {words}."))


def named(made: Check, code: str, number: int, place: tuple[str, int | None], message: str, fix: str) -> None:
    """Name the first of a kind one by one; the number of all stands in `numbers`."""
    if number <= NAMED:
        made.findings.append(Finding(code, message, fix, place[0], place[1]))


def where(place: tuple[str, int | None]) -> str:
    """A place in words."""
    return f"in line {place[1]} of {place[0]}" if place[1] is not None else f"in {place[0]}"


def add(made: Check, name: str, count: int) -> None:
    """Add to a number."""
    made.numbers[name] = made.numbers.get(name, 0) + count
