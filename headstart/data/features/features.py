"""Encoded examples, stored flat: a few bytes a token, however many.

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
from headstart.data.features.ahead import read_ahead

if TYPE_CHECKING:
    from headstart.contract import Floats, Ints


class ExampleRandom:
    """A random generator for each example: a pure function of a prefix (seed, epoch), its row, and how many it had
    before.
    """

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.draw_counts: Counter[int] = Counter()

    def for_example(self, example: Example) -> Random:
        """The next generator for an example's row."""
        self.draw_counts[example.row] += 1
        return Random(f"{self.prefix}:{example.row}:{self.draw_counts[example.row]}")

    def for_examples(self, examples: Sequence[Example]) -> ExampleRandom:
        """The generators of these examples alone, which another process may draw; here they count as drawn."""
        part = ExampleRandom(self.prefix)
        part.draw_counts.update({example.row: self.draw_counts[example.row] for example in examples})
        self.draw_counts.update(example.row for example in examples)
        return part


TOKENS_AT_ONCE = 2**22  # that are sorted at once
PARALLEL_EXAMPLES = 2000  # examples from which on several processes are worth their start


def encode_parts(task: Task[Any], examples: Sequence[Example], tokenizer: Tokenizer, seed: int | None, epoch: int,
                 workers: int) -> Iterator[Features]:
    """The features of consecutive parts of the examples, each encoded in its own process; a row is never split."""
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    parts: list[list[Example]] = [[]]
    for example in examples:
        if len(parts[-1]) * workers >= len(examples) and parts[-1][-1].row != example.row:
            parts.append([])
        parts[-1].append(example)
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        yield from pool.map(encode_part, *zip(*((task, part, tokenizer, seed, epoch) for part in parts), strict=True))


def encode_part(task: Task[Any], examples: Sequence[Example], tokenizer: Tokenizer, seed: int | None,
                epoch: int) -> Features:
    """The features of one process's examples."""
    features, example_random = Features(), ExampleRandom(f"{seed}:{epoch}")
    for example in read_ahead(task, examples, tokenizer):
        features.add(task.encode(example, tokenizer, example_random.for_example(example) if seed is not None else None))
    return features


class Features(Sequence[Feature]):
    """The features of many examples; `for_example(m)` are those of example m."""

    def __init__(self) -> None:
        self.tokens, self.token_types = array("i"), array("b")
        self.feature_ends = array("q", [0])  # where each feature's tokens end
        self.example_ends = array("q", [0])  # where each example's features end
        self.feature_weights, self.truncated_counts, self.label_count_array = array("d"), array("q"), array("q")
        self.targets: list[Any] = []
        # Info, group, role, label positions, of features that have any.
        self.optional_fields: dict[int, tuple[dict[str, Json], Any, str, Any]] = {}

    @classmethod
    def encode(cls, task: Task[Any], examples: Sequence[Example], tokenizer: Tokenizer, *, seed: int | None,
               epoch: int = 0, workers: int = 0) -> Features:
        """Every example's features. `seed` and `epoch` feed a task that draws; None means no random draws (prediction).

        With `workers`, so many processes share the work; the features are the same.
        """
        if seed is not None:
            examples = task.compose(examples, tokenizer, Random(f"{seed}:compose:{epoch}"))
        if workers > 1 and len(examples) >= PARALLEL_EXAMPLES:
            return cls.concatenate(encode_parts(task, examples, tokenizer, seed, epoch, workers))
        return encode_part(task, examples, tokenizer, seed, epoch)

    @classmethod
    def concatenate(cls, parts: Iterable[Features]) -> Features:
        """The features of several parts, one after the other."""
        all_features = cls()
        for part in parts:
            token_count, feature_count = len(all_features.tokens), len(all_features.targets)
            all_features.tokens.extend(part.tokens)
            all_features.token_types.extend(part.token_types)
            all_features.feature_ends.extend(array("q", (token_count + end for end in part.feature_ends[1:])))
            all_features.example_ends.extend(array("q", (feature_count + border for border in part.example_ends[1:])))
            all_features.feature_weights.extend(part.feature_weights)
            all_features.truncated_counts.extend(part.truncated_counts)
            all_features.label_count_array.extend(part.label_count_array)
            all_features.targets += part.targets
            all_features.optional_fields |= {feature_count + index: fields
                                             for index, fields in part.optional_fields.items()}
        return all_features

    def add(self, features: Sequence[Feature]) -> None:
        """One more example."""
        for feature in features:
            if feature.info or feature.group is not None or feature.role or feature.label_positions is not None:
                label_positions = None if feature.label_positions is None else array("i", feature.label_positions)
                self.optional_fields[len(self.targets)] = (dict(feature.info), feature.group, feature.role,
                                                           label_positions)
            self.tokens.extend(feature.ids)
            self.token_types.extend(feature.types if feature.types is not None else [0] * len(feature))
            self.feature_ends.append(len(self.tokens))
            self.feature_weights.append(feature.weight)
            self.targets.append(feature.targets)
        self.truncated_counts.append(max((feature.truncated_tokens for feature in features), default=0))
        self.label_count_array.append(sum(len(feature.label_positions) for feature in features
                                          if feature.label_positions is not None))
        self.example_ends.append(len(self.targets))

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def examples(self) -> int:
        """How many examples there are."""
        return len(self.example_ends) - 1

    @property
    def lengths(self) -> Ints:
        """Tokens of each feature, (F,)."""
        ends = np.asarray(self.feature_ends, dtype=np.int64)
        return ends[1:] - ends[:-1]

    @property
    def example_lengths(self) -> Ints:
        """Tokens of each example over all its features, (M,)."""
        ends = np.asarray(self.feature_ends, dtype=np.int64)
        borders = ends[np.asarray(self.example_ends, dtype=np.int64)]
        return borders[1:] - borders[:-1]

    @property
    def label_counts(self) -> Ints:
        """Label positions of each example: the target tokens of an encoder-decoder, (M,)."""
        return np.asarray(self.label_count_array, dtype=np.int64)

    @property
    def weights(self) -> Floats:
        """Weight of each feature, (F,)."""
        return np.asarray(self.feature_weights, dtype=np.float64)

    @property
    def cut(self) -> Ints:
        """Tokens of each example that no feature holds, (M,)."""
        return np.asarray(self.truncated_counts, dtype=np.int64)

    def token_ids(self) -> Ints:
        """Every token id that some feature holds, ascending."""
        tokens = np.asarray(self.tokens, dtype=np.int32)
        parts = [np.unique(tokens[start:start + TOKENS_AT_ONCE]) for start in range(0, len(tokens), TOKENS_AT_ONCE)]
        return np.unique(np.concatenate([np.zeros(0, dtype=np.int32), *parts])).astype(np.int64)

    def for_example(self, example: int) -> range:
        """The features of an example."""
        return range(self.example_ends[example], self.example_ends[example + 1])

    @overload
    def __getitem__(self, index: int) -> Feature: ...
    @overload
    def __getitem__(self, index: slice) -> list[Feature]: ...
    def __getitem__(self, index: int | slice) -> Feature | list[Feature]:
        if isinstance(index, slice):
            return [self[position] for position in range(*index.indices(len(self)))]
        if not 0 <= index < len(self):
            raise IndexError(index)
        start, end = self.feature_ends[index], self.feature_ends[index + 1]
        info, group, role, label_positions = self.optional_fields.get(index, ({}, None, "", None))
        targets: dict[str, Target] = dict(self.targets[index])
        return Feature(self.tokens[start:end], self.token_types[start:end], targets, self.feature_weights[index], 0,
                       info, label_positions, group, role)

    def of_examples(self, examples: Iterable[int]) -> list[Feature]:
        """All features of some examples, in order."""
        return [self[index] for example in examples for index in self.for_example(int(example))]
