"""Pairs of classes whose texts use the same words, which may be one class under two names."""

from __future__ import annotations

import math
from collections import Counter

from headstart.text.normalise import normalise_text

TEXTS_PER_CLASS = 200  # texts of each class that are compared
MIN_TEXTS = 10  # a class with fewer texts has no profile
# Cosine from which two classes are named; of BANKING77's 2,926 pairs one reaches it, and that pair is hard for people
# too.
MIN_SIMILARITY = 0.9
MAX_PAIRS = 10
MAX_CLASSES = 300  # with more classes than this, pairs are not compared


class ClassProfiles:
    """Word counts of the first texts of each class."""

    def __init__(self) -> None:
        self.word_counts: dict[str, Counter[str]] = {}
        self.text_counts: Counter[str] = Counter()

    def add(self, label: str, text: str) -> None:
        """One more text of a class."""
        if self.text_counts[label] < TEXTS_PER_CLASS:
            self.text_counts[label] += 1
            self.word_counts.setdefault(label, Counter()).update(set(normalise_text(text).split()[:200]))

    def pairs(self) -> list[tuple[str, str, float]]:
        """Pairs of classes by similarity, from MIN_SIMILARITY up: cosine of tf · idf over classes."""
        labels = [label for label in sorted(self.word_counts) if self.text_counts[label] >= MIN_TEXTS]
        if not 2 < len(labels) <= MAX_CLASSES:
            return []
        class_counts = Counter(word for label in labels for word in self.word_counts[label])
        vectors = {}
        for label in labels:
            weights = {word: count * math.log(1 + len(labels) / class_counts[word])
                       for word, count in self.word_counts[label].items()}
            norm = math.sqrt(sum(value * value for value in weights.values())) or 1.0
            vectors[label] = {word: value / norm for word, value in weights.items()}
        similar_pairs = []
        for index, first in enumerate(labels):
            for second in labels[:index]:
                small, large = sorted((vectors[first], vectors[second]), key=len)
                similarity = sum(value * large.get(word, 0.0) for word, value in small.items())
                if similarity >= MIN_SIMILARITY:
                    similar_pairs.append((second, first, similarity))
        return sorted(similar_pairs, key=lambda pair: -pair[2])[:MAX_PAIRS]
