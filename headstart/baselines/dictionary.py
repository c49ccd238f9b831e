"""A dictionary tagger: the entities of the training sentences, wherever their words occur again."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

Span = tuple[int, int, str]


@dataclass(frozen=True)
class EntityDictionary:
    """The words of each training entity, and its most frequent type."""

    types: dict[tuple[str, ...], str]
    max_words: int

    @classmethod
    def fit(cls, sentences: Iterable[tuple[Sequence[str], Sequence[Span]]]) -> EntityDictionary:
        """Learn from words and entities; words that are more often no entity than one are left out."""
        rows = list(sentences)
        type_counts: dict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
        for words, spans in rows:
            for start, end, kind in spans:
                type_counts[tuple(words[start:end])][kind] += 1
        max_words = max((len(phrase) for phrase in type_counts), default=0)
        occurrences: Counter[tuple[str, ...]] = Counter()
        for words, _ in rows:
            for start in range(len(words)):
                for size in range(1, min(max_words, len(words) - start) + 1):
                    if (phrase := tuple(words[start:start + size])) in type_counts:
                        occurrences[phrase] += 1
        phrase_types = {phrase: kinds.most_common(1)[0][0] for phrase, kinds in type_counts.items()
                        if 2 * kinds.total() >= occurrences[phrase]}
        return cls(phrase_types, max_words)

    def find(self, words: Sequence[str]) -> list[Span]:
        """The longest entities of the dictionary, from left to right."""
        entities, start = [], 0
        while start < len(words):
            for size in range(min(self.max_words, len(words) - start), 0, -1):
                kind = self.types.get(tuple(words[start:start + size]))
                if kind is not None:
                    entities.append((start, start + size, kind))
                    start += size - 1
                    break
            start += 1
        return entities

    @property
    def size_bytes(self) -> int:
        """Of its words."""
        return sum(sum(len(word) + 1 for word in phrase) + 8 for phrase in self.types) + 1
