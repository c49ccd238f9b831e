"""ROUGE-1, ROUGE-2, ROUGE-L and ROUGE-Lsum: F-measures of what a text shares with references, times 100.

Lin 2004, ROUGE: A Package for Automatic Evaluation of Summaries; tokens, union and counting as the package rouge_score
has them, so that values equal its own. M examples, R weightings.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.metrics.means import known_mean
from headstart.text.stems import stem as stem_of

Floats = NDArray[np.float64]
WORD = re.compile(r"[a-z0-9]+")
NAMES = ("rouge1", "rouge2", "rougeL", "rougeLsum")
DEFINITIONS = {
    "rouge1": "100 · F-measure of shared words, each as often as both have it (Lin 2004)",
    "rouge2": "100 · F-measure of shared pairs of neighbouring words",
    "rougeL": "100 · F-measure of the longest common subsequence of words",
    "rougeLsum": "100 · F-measure of the union of longest common subsequences, sentence against sentences (one a line)",
}


def definition(name: str, *, stem: bool) -> str:
    """A score's definition with all that its value depends on, for its signature."""
    words = "Porter stems of words longer than 3 letters" if stem else "no stems"
    return f"{DEFINITIONS[name]}; small letters, a-z and 0-9, {words}; the best of several references; mean over examples"


def tokenize(text: str, *, stem: bool) -> list[str]:
    """Words in small letters: runs of a-z and 0-9; all else parts words. With `stem`, words longer than 3 letters as stems."""
    words = WORD.findall(text.lower())
    return [stem_of(word) if len(word) > 3 else word for word in words] if stem else words


def per_example(predictions: Sequence[str], references: Sequence[Sequence[str]], *, stem: bool = False) -> dict[str, Floats]:
    """Every score of every example against its references, (M,) each; they are measures for `scores`."""
    rows = [rouge(text, golds, stem=stem) for text, golds in zip(predictions, references, strict=True)]
    return {name: np.array([row[name] for row in rows], dtype=np.float64) for name in NAMES}


def rouge(predicted: str, references: Sequence[str], *, stem: bool = False) -> dict[str, float]:
    """The four scores of one text, each the best over its references; 0 without words, NaN without references."""
    if not references:
        return dict.fromkeys(NAMES, float("nan"))
    ours = lines(predicted, stem=stem)
    theirs = [lines(text, stem=stem) for text in references]
    flat = joined(ours)
    found = {name: max(shared_ngrams(flat, joined(gold), size) for gold in theirs) for name, size in (("rouge1", 1), ("rouge2", 2))}
    found["rougeL"] = max(f_measure(common_length(joined(gold), flat), len(flat), len(joined(gold))) for gold in theirs)
    found["rougeLsum"] = max(union_common(gold, ours) for gold in theirs)
    return {name: 100 * value for name, value in found.items()}


def scores(measures: Any, weights: Floats) -> dict[str, NDArray[Any]]:
    """Weighted means over the examples that have references, (R,); measures are those of `per_example`, (M,)."""
    return {name: known_mean(measures[name], weights) for name in NAMES}


def lines(text: str, *, stem: bool) -> list[list[str]]:
    """The words of each line: a text's sentences stand one a line."""
    return [tokenize(line, stem=stem) for line in text.split("\n")]


def joined(parts: Sequence[Sequence[str]]) -> list[str]:
    """All words one after the other."""
    return [word for part in parts for word in part]


def f_measure(same: float, predicted: int, gold: int) -> float:
    """2·precision·recall/(precision+recall); 0 where nothing is shared."""
    if not same:
        return 0.0
    precision, recall = same / predicted, same / gold
    return 2 * precision * recall / (precision + recall)


def ngrams(words: Sequence[str], size: int) -> Counter[tuple[str, ...]]:
    """How often each run of words stands there."""
    return Counter(zip(*(words[begin:] for begin in range(size)), strict=False))


def shared_ngrams(predicted: Sequence[str], gold: Sequence[str], size: int) -> float:
    """F-measure of n-grams, counted with repetition."""
    ours, theirs = ngrams(predicted, size), ngrams(gold, size)
    return f_measure((ours & theirs).total(), ours.total(), theirs.total())


def common_rows(gold: Sequence[str], predicted: Sequence[str]) -> Iterator[int]:
    """The table of common subsequences, one integer for each count of gold words (0 first).

    Bit j of row i is 0 where the length grows between j and j + 1 predicted words (Hyyrö 2004, Bit-parallel LCS-length
    computation revisited): 1,000 by 1,000 words take a thousand steps.
    """
    places: dict[str, int] = {}
    for place, word in enumerate(predicted):
        places[word] = places.get(word, 0) | 1 << place
    full = (1 << len(predicted)) - 1
    row = full
    yield row
    for word in gold:
        match = row & places.get(word, 0)
        row = ((row + match) | (row - match)) & full
        yield row


def common_length(gold: Sequence[str], predicted: Sequence[str]) -> int:
    """Length of the longest common subsequence."""
    for row in common_rows(gold, predicted):  # only the last one counts, and only one is held
        last = row
    return len(predicted) - last.bit_count()


def common_places(gold: Sequence[str], predicted: Sequence[str]) -> list[int]:
    """Places of gold words in one longest common subsequence, last first.

    Of several it is the one found from the end that leaves out a gold word sooner than a predicted one.
    """
    rows = list(common_rows(gold, predicted))

    def length(row: int, column: int) -> int:
        return column - (rows[row] & ((1 << column) - 1)).bit_count()

    row, column, found = len(gold), len(predicted), []
    while row and column:
        if gold[row - 1] == predicted[column - 1]:
            row, column = row - 1, column - 1
            found.append(row)
        elif length(row - 1, column) < length(row, column):
            column -= 1
        else:
            row -= 1
    return found


def union_common(gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]) -> float:
    """F-measure of summaries (Lin 2004, section 3.2): a gold sentence's words that are common with any predicted sentence.

    A word counts at most as often as either text has it.
    """
    ours, theirs = Counter(joined(predicted)), Counter(joined(gold))
    sizes = ours.total(), theirs.total()
    words = [set(sentence) for sentence in predicted]
    hits = 0
    for sentence in gold:
        held = set(sentence)
        places: set[int] = set()
        for other, known in zip(predicted, words, strict=True):
            if not held.isdisjoint(known):
                places.update(common_places(sentence, other))
        for place in sorted(places):
            word = sentence[place]
            if ours[word] > 0 and theirs[word] > 0:
                hits += 1
                ours[word] -= 1
                theirs[word] -= 1
    return f_measure(hits, *sizes)
