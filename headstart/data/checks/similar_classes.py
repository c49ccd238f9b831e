"""Class twins: two labels on texts with the same words, which may be one class written twice."""

from __future__ import annotations

import math
from collections import Counter

from headstart.text.normalise import normalised

TEXTS = 200  # texts of each class that are looked at
FEWEST = 10  # a class with fewer texts has no profile
ALIKE = 0.9  # cosine from which two classes are named; of BANKING77's 2,926 pairs one reaches it, and that pair is hard for people too
MOST = 10
CLASSES = 300  # with more classes than this, pairs are not compared


class Profiles:
    """Word counts of the first texts of each class."""

    def __init__(self) -> None:
        self.words: dict[str, Counter[str]] = {}
        self.texts: Counter[str] = Counter()

    def add(self, label: str, text: str) -> None:
        """One more text of a class."""
        if self.texts[label] < TEXTS:
            self.texts[label] += 1
            self.words.setdefault(label, Counter()).update(set(normalised(text).split()[:200]))

    def pairs(self) -> list[tuple[str, str, float]]:
        """Pairs of classes by likeness, from ALIKE up: cosine of tf · idf over classes."""
        labels = [label for label in sorted(self.words) if self.texts[label] >= FEWEST]
        if not 2 < len(labels) <= CLASSES:
            return []
        spread = Counter(word for label in labels for word in self.words[label])
        vectors = {}
        for label in labels:
            raw = {word: count * math.log(1 + len(labels) / spread[word]) for word, count in self.words[label].items()}
            size = math.sqrt(sum(value * value for value in raw.values())) or 1.0
            vectors[label] = {word: value / size for word, value in raw.items()}
        found = []
        for number, first in enumerate(labels):
            for second in labels[:number]:
                small, large = sorted((vectors[first], vectors[second]), key=len)
                likeness = sum(value * large.get(word, 0.0) for word, value in small.items())
                if likeness >= ALIKE:
                    found.append((second, first, likeness))
        return sorted(found, key=lambda pair: -pair[2])[:MOST]
