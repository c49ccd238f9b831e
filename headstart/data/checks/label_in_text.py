"""Texts that hold their own label: a model learns to read it off, and is of no use where it is not there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from headstart.contract import Example, Task
from headstart.errors import Finding
from headstart.text.normalise import normalise_text

SAMPLE_ROWS, MIN_ROWS = 1000, 20  # rows that are looked at, evenly from the first to the last; with fewer, none
MAX_LABELS = 100
MIN_SHARE = 0.9  # of the rows hold their label and no other


def find_labels_in_texts(task: Task[Any], examples: Sequence[Example], labels: Sequence[str]) -> list[Finding]:
    """A finding where nearly every training text holds its label, and none of the others, as a word."""
    words = {label: f" {normalise_text(label)} " for label in labels}
    if len(examples) < MIN_ROWS or not 2 <= len(labels) <= MAX_LABELS or any(len(word) < 4 for word in words.values()):
        return []
    rows = sorted(set(np.linspace(0, len(examples) - 1, SAMPLE_ROWS).astype(int).tolist()))
    count = 0
    for row in rows:
        example = examples[row]
        text = f" {normalise_text(task.dedup_key(example))} "
        count += [label for label, word in words.items() if word in text] == [task.stratum(example)]
    if count < MIN_SHARE * len(rows):
        return []
    return [Finding("W213", f"{count / len(rows):.0%} of the training texts hold their own label as a word, and no "
                    "other label.",
                    "If it will not stand in new texts, take it out: otherwise a model learns to copy it.")]
