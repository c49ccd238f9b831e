"""What a written text is like beside its source: length, what is new, what is copied, what nothing supports, what
repeats.

Each value belongs to one example and is NaN where it has no meaning (an empty text, no source), so that any weighting
of the examples has a mean. Words are those of text/words.py. M examples, R weightings.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.metrics.nan_means import weighted_nanmean
from headstart.text.normalise import hash_text
from headstart.text.sentences import sentence_spans
from headstart.text.words import WORD, tokenize_words

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
NAN = float("nan")
NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
NUMBER_WORDS = {word: str(number) for number, word in enumerate((
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"))}
# Words of a copied span, of a repeated n-gram, of an n-gram looked up in the training texts.
COPIED_SIZE, REPEATED_SIZE, OVERLAP_SIZE = 5, 4, 8
DEFINITIONS = {
    "length_ratio": "words of the text / words of its source",
    "novel_1": "share of the text's words that its source lacks",
    "novel_2": "share of the text's 2-grams that its source lacks",
    "novel_3": "share of the text's 3-grams that its source lacks",
    "novel_4": "share of the text's 4-grams that its source lacks",
    "copied": f"share of the text's words in runs of at least {COPIED_SIZE} that are in its source",
    "unsupported_numbers": "share of the text's numbers that its source lacks",
    "unsupported_names": "share of the text's names (capital letters inside sentences) that its source lacks",
    "distinct_1": "different words / words (Li et al. 2016), within one text",
    "distinct_2": "different 2-grams / 2-grams, within one text",
    "repetition": f"share of the text's {REPEATED_SIZE}-grams that occurred before",
    "training_overlap": f"share of the text's {OVERLAP_SIZE}-grams that the training texts hold",
}


def ngrams(tokens: Sequence[str], size: int) -> list[tuple[str, ...]]:
    """Every run of this many words."""
    return list(zip(*(tokens[start:] for start in range(size)), strict=False))


def ratio(numerator: float, denominator: float) -> float:
    """numerator / denominator, NaN where the denominator is 0."""
    return numerator / denominator if denominator else NAN


def measures(text: str, source: str | None = None, *, training_hashes: Ints | None = None) -> dict[str, float]:
    """Every value of one text; `training_hashes` are the `ngram_hashes` of the training texts."""
    tokens = tokenize_words(text)
    values = dict.fromkeys(DEFINITIONS, NAN)
    if source is not None:
        source_tokens = tokenize_words(source)
        values["length_ratio"] = ratio(len(tokens), len(source_tokens))
        values |= {f"novel_{size}": novelty(tokens, source_tokens, size) for size in (1, 2, 3, 4)}
        values["copied"] = copied_share(tokens, source_tokens)
        values["unsupported_numbers"] = ratio(len(unsupported_numbers(text, source)), len(numbers(text)))
        values["unsupported_names"] = ratio(len(unsupported_names(text, source)), len(names(text)))
    values |= {f"distinct_{size}": distinct(tokens, size) for size in (1, 2)}
    values["repetition"] = repetition(tokens)
    if training_hashes is not None:
        values["training_overlap"] = training_overlap(tokens, training_hashes)
    return values


def per_example(texts: Sequence[str], sources: Sequence[str | None], *,
                training_hashes: Ints | None = None) -> dict[str, Floats]:
    """Every value of every text, (M,) each; they are measures for `scores`."""
    rows = [measures(text, source, training_hashes=training_hashes)
            for text, source in zip(texts, sources, strict=True)]
    return {name: np.array([row[name] for row in rows], dtype=np.float64) for name in DEFINITIONS}


def scores(measures: Any, weights: Floats) -> dict[str, NDArray[Any]]:
    """Means over the texts for which a value has a meaning, (R,)."""
    return {name: weighted_nanmean(measures[name], weights) for name in DEFINITIONS}


def novelty(tokens: Sequence[str], source_tokens: Sequence[str], size: int) -> float:
    """Share of a text's n-grams, each as often as it stands there, that the source lacks (See et al. 2017, figure 6).
    """
    source_ngrams = set(ngrams(source_tokens, size))
    text_ngrams = ngrams(tokens, size)
    return ratio(sum(ngram not in source_ngrams for ngram in text_ngrams), len(text_ngrams))


def copied_share(tokens: Sequence[str], source_tokens: Sequence[str], *, size: int = COPIED_SIZE) -> float:
    """Share of a text's words that lie in a run of at least `size` words which is in the source as it is."""
    return ratio(float(copied_words(tokens, source_tokens, size=size).sum()), len(tokens))


def copied_words(tokens: Sequence[str], source_tokens: Sequence[str], *, size: int = COPIED_SIZE) -> NDArray[np.bool_]:
    """Whether each word lies in such a run, (T,)."""
    source_ngrams = set(ngrams(source_tokens, size))
    covered = np.zeros(len(tokens), dtype=bool)
    for start, ngram in enumerate(ngrams(tokens, size)):
        if ngram in source_ngrams:
            covered[start:start + size] = True
    return covered


def numbers(text: str) -> list[str]:
    """The numbers of a text in one form: digits without commas between thousands, without zeros at the end of a
    fraction.

    1,000 -> 1000; 2.50 -> 2.5; 3,5 -> 3.5. A full stop separates a fraction, a comma does so before one or two digits
    or after 0. Words from zero to twelve are numbers only in a source (`unsupported_numbers`), since "one" is often
    none.
    """
    return [number_form(match) for match in NUMBER.findall(text)]


def number_form(number: str) -> str:
    """One number in its common form; 007 stays as it is."""
    groups = re.split(r"[.,]", number)
    has_thousands = len(groups) > 1 and all(len(group) == 3
                                            for group in groups[1:]) and 1 <= len(groups[0]) <= 3 and groups[0] != "0"
    if has_thousands and (len(groups) > 2 or "," in number):
        return "".join(groups)
    if len(groups) == 2:
        return f"{groups[0]}.{groups[1]}".rstrip("0").rstrip(".")
    if len(groups) > 2 and number[-len(groups[-1]) - 1] == "." and "," in number:  # 1,234.50
        return f"{''.join(groups[:-1])}.{groups[-1]}".rstrip("0").rstrip(".")
    return number


def unsupported_numbers(text: str, source: str) -> list[str]:
    """The text's numbers that are in the source neither in digits nor (zero to twelve) as an English word."""
    source_numbers = set(numbers(source)) | {NUMBER_WORDS[word] for word in tokenize_words(source)
                                             if word in NUMBER_WORDS}
    return [number for number in numbers(text) if number not in source_numbers]


def names(text: str) -> list[str]:
    """The words that begin with a capital letter, other than a sentence's first word and the English "I".

    A first word counts when it has two capital letters or more (NASA, McCoy). Each word counts by itself: "Ann Reed" is
    two. What holds digits is no name. In German every noun is one.
    """
    capitalized = []
    for start, end in sentence_spans(text):
        for index, match in enumerate(WORD.finditer(text, start, end)):
            word = match.group()
            capitals = sum(letter.isupper() for letter in word)
            if word[0].isupper() and (index > 0 or capitals > 1) and not any(letter.isdigit() for letter in word) and \
                    base_form(word) != "i":
                capitalized.append(word)
    return capitalized


def base_form(word: str) -> str:
    """A word in lower case without 's, 'm, 'll and the like."""
    return re.split(r"['’]", word.lower())[0]


def unsupported_names(text: str, source: str) -> list[str]:
    """The text's names that are no word of the source, in whatever case and without 's."""
    source_words = {base_form(word) for word in tokenize_words(source)}
    source_words |= {part for word in source_words for part in word.split("-")}
    return [name for name in names(text) if base_form(name) not in source_words
            and not source_words.issuperset(base_form(name).split("-"))]


def distinct(tokens: Sequence[str], size: int) -> float:
    """Different n-grams / n-grams."""
    text_ngrams = ngrams(tokens, size)
    return ratio(len(set(text_ngrams)), len(text_ngrams))


def repetition(tokens: Sequence[str], *, size: int = REPEATED_SIZE) -> float:
    """Share of the n-grams that occurred in the text before: 0 where nothing repeats."""
    return 1 - distinct(tokens, size)


def ngram_hashes(texts: Iterable[str], *, size: int = OVERLAP_SIZE) -> Ints:
    """A 64-bit hash of every run of words of the training texts, ascending; 8 bytes a distinct n-gram."""
    return np.array(sorted({ngram_hash for text in texts for ngram_hash in hash_ngrams(tokenize_words(text), size)}),
                    dtype=np.int64)


def hash_ngrams(tokens: Sequence[str], size: int) -> list[int]:
    """The hashes of a text's n-grams, in order."""
    return [hash_text(" ".join(ngram)) for ngram in ngrams(tokens, size)]


def training_overlap(tokens: Sequence[str], training_hashes: Ints, *, size: int = OVERLAP_SIZE) -> float:
    """Share of a text's n-grams that are among the training texts' (two n-grams share a hash with a probability below
    1e-9).
    """
    text_hashes = np.array(hash_ngrams(tokens, size), dtype=np.int64)
    if not len(training_hashes):
        return ratio(0.0, len(text_hashes))
    indices = np.minimum(np.searchsorted(training_hashes, text_hashes), len(training_hashes) - 1)
    return ratio(float((training_hashes[indices] == text_hashes).sum()), len(text_hashes))
