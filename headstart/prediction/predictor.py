"""Predictions for any number of rows, in their order, as they come."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from random import Random
from typing import Any

from headstart.contract import Example, Feature, Prediction, Runtime, Task, Tokenizer
from headstart.data.features.ahead import read_ahead
from headstart.data.features.features import ExampleRandom
from headstart.tasks.shared.prompt_layout import GENERATED
from headstart.version import __version__

GENERATION_CHUNK = 256  # rows that are generated together: what an interrupted prediction may have to generate again
# rows whose features are sorted by length together: padding and attention fall, memory stays flat
PREDICTION_CHUNK = 2048
TRUNCATED = "truncated_tokens"  # of a prediction's detail


@dataclass(frozen=True)
class TaskPredictor:
    """A task with the runtime that computes its model's outputs: the one `Predictor`, for every runtime."""

    task: Task[Any]
    runtime: Runtime

    @property
    def precision(self) -> str:
        """What its model computes in."""
        return self.runtime.precision

    def compose(self, examples: Sequence[Example], *, seed: int) -> Sequence[Example]:
        """The examples that the model is evaluated on: as they are, or composed, the same each time."""
        return compose(self.task, self.runtime.tokenizer, examples, seed)

    def encode(self, examples: Sequence[Example], rngs: Iterable[Random | None] | None = None) -> list[list[Feature]]:
        """Each example's features; `rngs` has a generator for each example, where it is encoded at random."""
        example_rngs: Iterable[Random | None] = [None] * len(examples) if rngs is None else rngs
        return [self.task.encode(example, self.runtime.tokenizer, rng)
                for example, rng in zip(read_ahead(self.task, examples, self.runtime.tokenizer), example_rngs,
                                        strict=True)]

    def outputs(self, features: Sequence[Sequence[Feature]]) -> list[list[Any]]:
        """The outputs of each example's features, each reduced as it comes, so that memory stays small."""
        return self.outputs_and_layers(features)[0]

    def outputs_and_layers(self, features: Sequence[Sequence[Feature]]) -> tuple[list[list[Any]], list[list[int]]]:
        """The same, and after how many layers each feature was answered, where the runtime says so (else nothing)."""
        flat_features = [feature for example_features in features for feature in example_features]
        reduced: list[Any] = [None] * len(flat_features)
        layers: dict[int, int] = {}
        for index, output in self.runtime.outputs(flat_features):
            is_text = self.task.generative or flat_features[index].role == GENERATED
            reduced[index] = output if is_text else self.task.reduce(flat_features[index], output)
            if "layers" in output:
                layers[index] = int(output["layers"])
        remaining, indices = iter(reduced), iter(range(len(flat_features)))
        outputs = [list(islice(remaining, len(example_features))) for example_features in features]
        layer_lists = [[layers[index] for index in islice(indices, len(example_features)) if index in layers]
                       for example_features in features]
        return outputs, layer_lists

    def decode(self, examples: Sequence[Example], outputs: Sequence[Sequence[Any]]) -> list[Prediction]:
        """The outputs of each example as its prediction."""
        return [self.task.decode(example, example_outputs)
                for example, example_outputs in zip(examples, outputs, strict=True)]

    def predict(self, examples: Iterable[Example], *, seed: int | None = None) -> Iterator[Prediction]:
        """One prediction for each example, in order, chunk by chunk.

        With a seed, a task that encodes at random (masked words) encodes the same each time.
        """
        for chunk, random in self.chunks(examples, seed):
            yield from self.predict_chunk(chunk, random)

    def predict_chunk(self, chunk: Sequence[Example], random: ExampleRandom | None = None) -> list[Prediction]:
        """Predictions for some examples."""
        return self.predict_encoded(chunk, self.encode_chunk(chunk, random))

    def outputs_of(self, examples: Iterable[Example], *,
                   seed: int | None = None) -> Iterator[tuple[list[Any], list[int]]]:
        """What `predict` decodes, of each example in order: its outputs, and after how many layers, where it is known.
        """
        for chunk, random in self.chunks(examples, seed):
            yield from zip(*self.final_outputs(chunk, self.encode_chunk(chunk, random)), strict=True)

    def chunks(self, examples: Iterable[Example],
               seed: int | None = None) -> Iterator[tuple[list[Example], ExampleRandom | None]]:
        """The examples in parts that are predicted together, with the random numbers that they are encoded by."""
        source = iter(examples)
        random = ExampleRandom(f"{seed}:fixed") if seed is not None and self.task.random_encoding else None
        while chunk := list(islice(source, GENERATION_CHUNK if self.task.generative else PREDICTION_CHUNK)):
            yield chunk, None if random is None else random.for_examples(chunk)

    def encode_chunk(self, chunk: Sequence[Example], random: ExampleRandom | None) -> list[list[Feature]]:
        """The features of some examples."""
        return self.encode(chunk, None if random is None else map(random.for_example, chunk))

    def predict_encoded(self, examples: Sequence[Example], features: Sequence[Sequence[Feature]]) -> list[Prediction]:
        """The predictions of examples that are encoded already; a text generated in parts may get a second pass, as the
        task says.
        """
        outputs, layers = self.final_outputs(examples, features)
        predictions = decode_outputs(self.task, examples, outputs, layers)
        return [with_truncated_tokens(prediction, example_features)
                for prediction, example_features in zip(predictions, features, strict=True)]

    def final_outputs(self, examples: Sequence[Example],
                      features: Sequence[Sequence[Feature]]) -> tuple[list[list[Any]], list[list[int]]]:
        """What the predictions of examples are decoded from: outputs, of a second pass where there is one, and layers.
        """
        outputs, layers = self.outputs_and_layers(features)
        second_examples = {index: second_example for index, example in enumerate(examples)
                           if (second_example := self.task.second_pass(example, outputs[index])) is not None}
        second_outputs = self.outputs(self.encode(list(second_examples.values())))
        for index, example_outputs in zip(second_examples, second_outputs, strict=True):
            outputs[index] = example_outputs
        return outputs, layers

    def fingerprint(self) -> str:
        """A hash of all that the predictions depend on: the task, its settings, what it learned, the runtime's own."""
        task = self.task
        identity = (__version__, task.name, task.settings, task.learned.json(), self.runtime.fingerprint())
        return hashlib.sha256(repr(identity).encode()).hexdigest()


def decode_outputs(task: Task[Any], examples: Sequence[Example], outputs: Sequence[Sequence[Any]],
                   layers: Sequence[Sequence[int]]) -> list[Prediction]:
    """The outputs of each example, and the layers that read it, as its prediction."""
    return [with_layers_used(task.decode(example, example_outputs), example_layers)
            for example, example_outputs, example_layers in zip(examples, outputs, layers, strict=True)]


def with_truncated_tokens(prediction: Prediction, features: Sequence[Feature]) -> Prediction:
    """The prediction with how many tokens of its text the model did not read, where that is not all of them."""
    truncated_tokens = max((feature.truncated_tokens for feature in features), default=0)
    if not truncated_tokens:
        return prediction
    return dataclasses.replace(prediction, detail={**prediction.detail, TRUNCATED: truncated_tokens})


def with_layers_used(prediction: Prediction, layers: Sequence[int]) -> Prediction:
    """The prediction with how many layers read its text (of windows, the mean), where that is known."""
    if not layers:
        return prediction
    mean = sum(layers) / len(layers)
    layers_used = int(mean) if mean.is_integer() else mean
    return dataclasses.replace(prediction, values={**prediction.values, "layers_used": layers_used})


def compose(task: Task[Any], tokenizer: Tokenizer, examples: Sequence[Example], seed: int) -> Sequence[Example]:
    """The examples that a model is evaluated on: as they are, or composed, the same each time."""
    return task.compose(examples, tokenizer, Random(f"{seed}:compose:fixed"))


def random_features(task: Task[Any], tokenizer: Tokenizer, examples: Iterable[Example],
                    seed: int) -> list[list[Feature]]:
    """Each example's features, encoded with the random numbers that `predict` uses with this seed."""
    random = ExampleRandom(f"{seed}:fixed")
    return [task.encode(example, tokenizer, random.for_example(example)) for example in examples]
