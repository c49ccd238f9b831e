"""A tagger that knows by heart: the entities of the training sentences, wherever their words stand again."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

Span = tuple[int, int, str]


@dataclass(frozen=True)
class Dictionary:
    """Words of entities, and the type that they had most often."""

    known: dict[tuple[str, ...], str]
    longest: int

    @classmethod
    def fit(cls, sentences: Iterable[tuple[Sequence[str], Sequence[Span]]]) -> Dictionary:
        """Learn from words and entities; words that are more often none than one are left out."""
        held = list(sentences)
        types: dict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
        for words, spans in held:
            for begin, end, kind in spans:
                types[tuple(words[begin:end])][kind] += 1
        longest = max((len(one) for one in types), default=0)
        seen: Counter[tuple[str, ...]] = Counter()
        for words, _ in held:
            for begin in range(len(words)):
                for size in range(1, min(longest, len(words) - begin) + 1):
                    if (one := tuple(words[begin:begin + size])) in types:
                        seen[one] += 1
        known = {one: kinds.most_common(1)[0][0] for one, kinds in types.items() if 2 * kinds.total() >= seen[one]}
        return cls(known, longest)

    def find(self, words: Sequence[str]) -> list[Span]:
        """The longest known entities from left to right."""
        found, at = [], 0
        while at < len(words):
            for size in range(min(self.longest, len(words) - at), 0, -1):
                kind = self.known.get(tuple(words[at:at + size]))
                if kind is not None:
                    found.append((at, at + size, kind))
                    at += size - 1
                    break
            at += 1
        return found

    @property
    def size_bytes(self) -> int:
        """Of its words."""
        return sum(sum(len(word) + 1 for word in one) + 8 for one in self.known) + 1
