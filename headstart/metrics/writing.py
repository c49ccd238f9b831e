"""What a written text is like beside its source: length, what is new, what is copied, what nothing supports, what repeats.

Each value belongs to one example and is NaN where it has no meaning (an empty text, no source), so that any weighting of
the examples has a mean. Words are those of text/words.py. M examples, R weightings.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.metrics.means import known_mean
from headstart.text.normalise import hash_text
from headstart.text.sentences import sentence_spans
from headstart.text.words import WORD, words

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
NAN = float("nan")
NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
NUMBER_WORDS = {word: str(number) for number, word in enumerate((
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"))}
COPIED, REPEATED, OVERLAP = 5, 4, 8  # words of a copied span, of a repeated n-gram, of an n-gram looked up in the training texts
DEFINITIONS = {
    "length_ratio": "words of the text / words of its source",
    "novel_1": "share of the text's words that its source lacks",
    "novel_2": "share of the text's 2-grams that its source lacks",
    "novel_3": "share of the text's 3-grams that its source lacks",
    "novel_4": "share of the text's 4-grams that its source lacks",
    "copied": f"share of the text's words in runs of at least {COPIED} that stand in its source",
    "unsupported_numbers": "share of the text's numbers that its source lacks",
    "unsupported_names": "share of the text's names (capital letters inside sentences) that its source lacks",
    "distinct_1": "different words / words (Li et al. 2016), within one text",
    "distinct_2": "different 2-grams / 2-grams, within one text",
    "repetition": f"share of the text's {REPEATED}-grams that stood there before",
    "training_overlap": f"share of the text's {OVERLAP}-grams that the training texts hold",
}


def ngrams(tokens: Sequence[str], size: int) -> list[tuple[str, ...]]:
    """Every run of this many words."""
    return list(zip(*(tokens[begin:] for begin in range(size)), strict=False))


def share(part: float, whole: float) -> float:
    """part / whole, NaN without a whole."""
    return part / whole if whole else NAN


def measures(text: str, source: str | None = None, *, known: Ints | None = None) -> dict[str, float]:
    """Every value of one text; `known` are the `ngram_hashes` of the training texts."""
    own = words(text)
    found = dict.fromkeys(DEFINITIONS, NAN)
    if source is not None:
        other = words(source)
        found["length_ratio"] = share(len(own), len(other))
        found |= {f"novel_{size}": novelty(own, other, size) for size in (1, 2, 3, 4)}
        found["copied"] = copied_share(own, other)
        found["unsupported_numbers"] = share(len(unsupported_numbers(text, source)), len(numbers(text)))
        found["unsupported_names"] = share(len(unsupported_names(text, source)), len(names(text)))
    found |= {f"distinct_{size}": distinct(own, size) for size in (1, 2)}
    found["repetition"] = repetition(own)
    if known is not None:
        found["training_overlap"] = training_overlap(own, known)
    return found


def per_example(texts: Sequence[str], sources: Sequence[str | None], *, known: Ints | None = None) -> dict[str, Floats]:
    """Every value of every text, (M,) each; they are measures for `scores`."""
    rows = [measures(text, source, known=known) for text, source in zip(texts, sources, strict=True)]
    return {name: np.array([row[name] for row in rows], dtype=np.float64) for name in DEFINITIONS}


def scores(measures: Any, weights: Floats) -> dict[str, NDArray[Any]]:
    """Means over the texts for which a value has a meaning, (R,)."""
    return {name: known_mean(measures[name], weights) for name in DEFINITIONS}


def novelty(own: Sequence[str], other: Sequence[str], size: int) -> float:
    """Share of a text's n-grams, each as often as it stands there, that the source lacks (See et al. 2017, figure 6)."""
    held = set(ngrams(other, size))
    made = ngrams(own, size)
    return share(sum(one not in held for one in made), len(made))


def copied_share(own: Sequence[str], other: Sequence[str], *, span: int = COPIED) -> float:
    """Share of a text's words that lie in a run of at least `span` words which stands in the source as it is."""
    held = set(ngrams(other, span))
    covered = np.zeros(len(own), dtype=bool)
    for begin, one in enumerate(ngrams(own, span)):
        if one in held:
            covered[begin:begin + span] = True
    return share(float(covered.sum()), len(own))


def numbers(text: str) -> list[str]:
    """The numbers of a text in one form: digits without commas between thousands, without zeros at the end of a fraction.

    1,000 -> 1000; 2.50 -> 2.5; 3,5 -> 3.5. A full stop parts a fraction, a comma does so before one or two digits or after 0.
    Words from zero to twelve are numbers only in a source (`unsupported_numbers`), since "one" is often none.
    """
    return [number_form(found) for found in NUMBER.findall(text)]


def number_form(number: str) -> str:
    """One number in its common form; 007 stays as it is."""
    parts = re.split(r"[.,]", number)
    grouped = len(parts) > 1 and all(len(part) == 3 for part in parts[1:]) and 1 <= len(parts[0]) <= 3 and parts[0] != "0"
    if grouped and (len(parts) > 2 or "," in number):
        return "".join(parts)
    if len(parts) == 2:
        return f"{parts[0]}.{parts[1]}".rstrip("0").rstrip(".")
    if len(parts) > 2 and number[-len(parts[-1]) - 1] == "." and "," in number:  # 1,234.50
        return f"{''.join(parts[:-1])}.{parts[-1]}".rstrip("0").rstrip(".")
    return number


def unsupported_numbers(text: str, source: str) -> list[str]:
    """The text's numbers that stand in the source neither in digits nor (zero to twelve) as an English word."""
    held = set(numbers(source)) | {NUMBER_WORDS[word] for word in words(source) if word in NUMBER_WORDS}
    return [number for number in numbers(text) if number not in held]


def names(text: str) -> list[str]:
    """The words that begin with a capital letter, other than a sentence's first word and the English "I".

    A first word counts when it has two capital letters or more (NASA, McCoy). Each word stands by itself: "Ann Reed" is
    two. What holds digits is no name. In German every noun is one.
    """
    found = []
    for begin, end in sentence_spans(text):
        for place, match in enumerate(WORD.finditer(text, begin, end)):
            word = match.group()
            capitals = sum(letter.isupper() for letter in word)
            if word[0].isupper() and (place > 0 or capitals > 1) and not any(letter.isdigit() for letter in word) and \
                    base(word) != "i":
                found.append(word)
    return found


def base(word: str) -> str:
    """A word in small letters without 's, 'm, 'll and the like."""
    return re.split(r"['’]", word.lower())[0]


def unsupported_names(text: str, source: str) -> list[str]:
    """The text's names that are no word of the source, in whatever case and without 's."""
    held = {base(word) for word in words(source)}
    held |= {part for word in held for part in word.split("-")}
    return [name for name in names(text) if base(name) not in held and not held.issuperset(base(name).split("-"))]


def distinct(own: Sequence[str], size: int) -> float:
    """Different n-grams / n-grams."""
    made = ngrams(own, size)
    return share(len(set(made)), len(made))


def repetition(own: Sequence[str], *, size: int = REPEATED) -> float:
    """Share of the n-grams that stood in the text before: 0 where nothing repeats."""
    return 1 - distinct(own, size)


def ngram_hashes(texts: Iterable[str], *, size: int = OVERLAP) -> Ints:
    """A 64-bit number for every run of words of the training texts, ascending; 8 bytes a different n-gram."""
    return np.array(sorted({value for text in texts for value in hashes(words(text), size)}), dtype=np.int64)


def hashes(own: Sequence[str], size: int) -> list[int]:
    """The numbers of a text's n-grams, in order."""
    return [hash_text(" ".join(one)) for one in ngrams(own, size)]


def training_overlap(own: Sequence[str], known: Ints, *, size: int = OVERLAP) -> float:
    """Share of a text's n-grams that are among the known numbers (two n-grams share one with a chance below 1e-9)."""
    made = np.array(hashes(own, size), dtype=np.int64)
    if not len(known):
        return share(0.0, len(made))
    places = np.minimum(np.searchsorted(known, made), len(known) - 1)
    return share(float((known[places] == made).sum()), len(made))
