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

from headstart.metrics.nan_means import weighted_nanmean
from headstart.text.porter_stemmer import stem as stem_of

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
    return (f"{DEFINITIONS[name]}; small letters, a-z and 0-9, {words}; the best of several references; mean over "
            "examples")


def tokenize(text: str, *, stem: bool) -> list[str]:
    """Words in lower case: runs of a-z and 0-9; all else separates words. With `stem`, words longer than 3 letters as
    stems.
    """
    words = WORD.findall(text.lower())
    return [stem_of(word) if len(word) > 3 else word for word in words] if stem else words


def per_example(predictions: Sequence[str], references: Sequence[Sequence[str]], *,
                stem: bool = False) -> dict[str, Floats]:
    """Every score of every example against its references, (M,) each; they are measures for `scores`."""
    rows = [rouge(text, golds, stem=stem) for text, golds in zip(predictions, references, strict=True)]
    return {name: np.array([row[name] for row in rows], dtype=np.float64) for name in NAMES}


def rouge(predicted: str, references: Sequence[str], *, stem: bool = False) -> dict[str, float]:
    """The four scores of one text, each the best over its references; 0 without words, NaN without references."""
    if not references:
        return dict.fromkeys(NAMES, float("nan"))
    predicted_lines = tokenize_lines(predicted, stem=stem)
    reference_lines = [tokenize_lines(text, stem=stem) for text in references]
    predicted_words = flatten(predicted_lines)
    reference_words = [flatten(lines) for lines in reference_lines]
    fractions = {
        "rouge1": max(ngram_f_measure(predicted_words, words, 1) for words in reference_words),
        "rouge2": max(ngram_f_measure(predicted_words, words, 2) for words in reference_words),
        "rougeL": max(f_measure(lcs_length(words, predicted_words), len(predicted_words), len(words))
                      for words in reference_words),
        "rougeLsum": max(summary_lcs(lines, predicted_lines) for lines in reference_lines)}
    return {name: 100 * fraction for name, fraction in fractions.items()}


def scores(measures: Any, weights: Floats) -> dict[str, NDArray[Any]]:
    """Weighted means over the examples that have references, (R,); measures are those of `per_example`, (M,)."""
    return {name: weighted_nanmean(measures[name], weights) for name in NAMES}


def tokenize_lines(text: str, *, stem: bool) -> list[list[str]]:
    """The words of each line: a text has its sentences one a line."""
    return [tokenize(line, stem=stem) for line in text.split("\n")]


def flatten(word_lists: Sequence[Sequence[str]]) -> list[str]:
    """All words one after the other."""
    return [word for words in word_lists for word in words]


def f_measure(shared: float, predicted: int, gold: int) -> float:
    """2·precision·recall/(precision+recall); 0 where nothing is shared."""
    if not shared:
        return 0.0
    precision, recall = shared / predicted, shared / gold
    return 2 * precision * recall / (precision + recall)


def ngrams(words: Sequence[str], size: int) -> Counter[tuple[str, ...]]:
    """How often each run of `size` words occurs."""
    return Counter(zip(*(words[start:] for start in range(size)), strict=False))


def ngram_f_measure(predicted: Sequence[str], gold: Sequence[str], size: int) -> float:
    """F-measure of n-grams, counted with repetition."""
    predicted_ngrams, gold_ngrams = ngrams(predicted, size), ngrams(gold, size)
    return f_measure((predicted_ngrams & gold_ngrams).total(), predicted_ngrams.total(), gold_ngrams.total())


def lcs_rows(gold: Sequence[str], predicted: Sequence[str]) -> Iterator[int]:
    """The table of common subsequences, one integer for each count of gold words (0 first).

    Bit j of row i is 0 where the length grows between j and j + 1 predicted words (Hyyrö 2004, Bit-parallel LCS-length
    computation revisited): 1,000 by 1,000 words take a thousand steps.
    """
    bits: dict[str, int] = {}
    for index, word in enumerate(predicted):
        bits[word] = bits.get(word, 0) | 1 << index
    full = (1 << len(predicted)) - 1
    row = full
    yield row
    for word in gold:
        match = row & bits.get(word, 0)
        row = ((row + match) | (row - match)) & full
        yield row


def lcs_length(gold: Sequence[str], predicted: Sequence[str]) -> int:
    """Length of the longest common subsequence."""
    for row in lcs_rows(gold, predicted):  # only the last one counts, and only one is kept
        last_row = row
    return len(predicted) - last_row.bit_count()


def lcs_indices(gold: Sequence[str], predicted: Sequence[str]) -> list[int]:
    """Indices of gold words in one longest common subsequence, last first.

    Of several it is the one found from the end that leaves out a gold word sooner than a predicted one.
    """
    rows = list(lcs_rows(gold, predicted))

    def length(row: int, column: int) -> int:
        return column - (rows[row] & ((1 << column) - 1)).bit_count()

    row, column, indices = len(gold), len(predicted), []
    while row and column:
        if gold[row - 1] == predicted[column - 1]:
            row, column = row - 1, column - 1
            indices.append(row)
        elif length(row - 1, column) < length(row, column):
            column -= 1
        else:
            row -= 1
    return indices


def summary_lcs(gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]) -> float:
    """F-measure of summaries (Lin 2004, section 3.2): a gold sentence's words that are common with any predicted
    sentence.

    A word counts at most as often as either text has it.
    """
    predicted_counts, gold_counts = Counter(flatten(predicted)), Counter(flatten(gold))
    sizes = predicted_counts.total(), gold_counts.total()
    word_sets = [set(sentence) for sentence in predicted]
    hits = 0
    for sentence in gold:
        gold_words = set(sentence)
        indices: set[int] = set()
        for predicted_sentence, predicted_words in zip(predicted, word_sets, strict=True):
            if not gold_words.isdisjoint(predicted_words):
                indices.update(lcs_indices(sentence, predicted_sentence))
        for index in sorted(indices):
            word = sentence[index]
            if predicted_counts[word] > 0 and gold_counts[word] > 0:
                hits += 1
                predicted_counts[word] -= 1
                gold_counts[word] -= 1
    return f_measure(hits, *sizes)
