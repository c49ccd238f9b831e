"""Encoded examples, stored flat: a few bytes a token, whatever their number.

Shapes: F features, M examples, T tokens of all.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from random import Random
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from headstart.contract import Example, Feature, Json, Target, Task, Tokenizer

if TYPE_CHECKING:
    from headstart.contract import Floats, Ints


class Draws:
    """A generator for each example: a pure function of a prefix (seed, epoch), its row, and how many came from it before."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.seen: Counter[int] = Counter()

    def of(self, example: Example) -> Random:
        """The next generator for an example's row."""
        self.seen[example.row] += 1
        return Random(f"{self.prefix}:{example.row}:{self.seen[example.row]}")


MANY = 2000  # examples from which on several processes are worth their start


def shared_out(task: Task[Any], examples: Sequence[Example], tokenizer: Tokenizer, seed: int | None, epoch: int,
               workers: int) -> Iterator[Features]:
    """The features of consecutive parts of the examples, each made in a process of its own; a row is never parted."""
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    parts: list[list[Example]] = [[]]
    for example in examples:
        if len(parts[-1]) * workers >= len(examples) and parts[-1][-1].row != example.row:
            parts.append([])
        parts[-1].append(example)
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        yield from pool.map(encode_part, *zip(*((task, part, tokenizer, seed, epoch) for part in parts), strict=True))


def encode_part(task: Task[Any], examples: Sequence[Example], tokenizer: Tokenizer, seed: int | None, epoch: int) -> Features:
    """What one process does."""
    made, draws = Features(), Draws(f"{seed}:{epoch}")
    for example in examples:
        made.add(task.encode(example, tokenizer, draws.of(example) if seed is not None else None))
    return made


class Features(Sequence[Feature]):
    """The features of many examples; `of(m)` are those of example m."""

    def __init__(self) -> None:
        self.tokens, self.kinds = array("i"), array("b")
        self.ends = array("q", [0])  # where each feature's tokens end
        self.borders = array("q", [0])  # where each example's features end
        self.weight_of, self.cut_of, self.asked_of = array("d"), array("q"), array("q")
        self.targets: list[Any] = []
        self.extra: dict[int, tuple[dict[str, Json], Any, str, Any]] = {}  # info, group, role, asks where there are any

    @classmethod
    def encode(cls, task: Task[Any], examples: Sequence[Example], tokenizer: Tokenizer, *, seed: int | None,
               epoch: int = 0, workers: int = 0) -> Features:
        """Every example's features. `seed` and `epoch` feed a task that draws; None means no draws (prediction).

        With `workers`, so many processes share the work; the features are the same.
        """
        if seed is not None:
            examples = task.compose(examples, tokenizer, Random(f"{seed}:compose:{epoch}"))
        if workers > 1 and len(examples) >= MANY:
            return cls.joined(shared_out(task, examples, tokenizer, seed, epoch, workers))
        return encode_part(task, examples, tokenizer, seed, epoch)

    @classmethod
    def joined(cls, parts: Iterable[Features]) -> Features:
        """The features of several parts, one after the other."""
        made = cls()
        for part in parts:
            tokens, features = len(made.tokens), len(made.targets)
            made.tokens.extend(part.tokens)
            made.kinds.extend(part.kinds)
            made.ends.extend(array("q", (tokens + end for end in part.ends[1:])))
            made.borders.extend(array("q", (features + border for border in part.borders[1:])))
            made.weight_of.extend(part.weight_of)
            made.cut_of.extend(part.cut_of)
            made.asked_of.extend(part.asked_of)
            made.targets += part.targets
            made.extra |= {features + place: held for place, held in part.extra.items()}
        return made

    def add(self, features: Sequence[Feature]) -> None:
        """One more example."""
        for feature in features:
            if feature.info or feature.group is not None or feature.role or feature.asks is not None:
                asks = None if feature.asks is None else array("i", feature.asks)
                self.extra[len(self.targets)] = (dict(feature.info), feature.group, feature.role, asks)
            self.tokens.extend(feature.ids)
            self.kinds.extend(feature.types if feature.types is not None else [0] * len(feature))
            self.ends.append(len(self.tokens))
            self.weight_of.append(feature.weight)
            self.targets.append(feature.targets)
        self.cut_of.append(max((feature.cut for feature in features), default=0))
        self.asked_of.append(sum(len(feature.asks) for feature in features if feature.asks is not None))
        self.borders.append(len(self.targets))

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def examples(self) -> int:
        """How many examples there are."""
        return len(self.borders) - 1

    @property
    def lengths(self) -> Ints:
        """Tokens of each feature, (F,)."""
        ends = np.asarray(self.ends, dtype=np.int64)
        return ends[1:] - ends[:-1]

    @property
    def example_lengths(self) -> Ints:
        """Tokens of each example over all its features, (M,)."""
        ends = np.asarray(self.ends, dtype=np.int64)
        borders = ends[np.asarray(self.borders, dtype=np.int64)]
        return borders[1:] - borders[:-1]

    @property
    def asked_lengths(self) -> Ints:
        """Tokens of each example that are asked for: what an encoder-decoder writes, (M,)."""
        return np.asarray(self.asked_of, dtype=np.int64)

    @property
    def weights(self) -> Floats:
        """Weight of each feature, (F,)."""
        return np.asarray(self.weight_of, dtype=np.float64)

    @property
    def cut(self) -> Ints:
        """Tokens of each example that no feature holds, (M,)."""
        return np.asarray(self.cut_of, dtype=np.int64)

    def token_ids(self) -> Ints:
        """Every token id that some feature holds, ascending."""
        return np.unique(np.asarray(self.tokens, dtype=np.int32)).astype(np.int64)

    def of(self, example: int) -> range:
        """The features of an example."""
        return range(self.borders[example], self.borders[example + 1])

    @overload
    def __getitem__(self, index: int) -> Feature: ...
    @overload
    def __getitem__(self, index: slice) -> list[Feature]: ...
    def __getitem__(self, index: int | slice) -> Feature | list[Feature]:
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        if not 0 <= index < len(self):
            raise IndexError(index)
        begin, end = self.ends[index], self.ends[index + 1]
        info, group, role, asks = self.extra.get(index, ({}, None, "", None))
        targets: dict[str, Target] = dict(self.targets[index])
        return Feature(self.tokens[begin:end], self.kinds[begin:end], targets, self.weight_of[index], 0, info, asks, group, role)

    def of_examples(self, examples: Iterable[int]) -> list[Feature]:
        """All features of some examples, in order."""
        return [self[place] for example in examples for place in self.of(int(example))]
