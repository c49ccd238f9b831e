"""What a trained model is to everything above it: examples in, predictions out, whatever computes its outputs.

    examples ─ encode ─▶ features ─ outputs ─▶ reduced outputs ─ decode ─▶ predictions
                task               runtime, task                  task

Predictors and runtimes are immutable: threads may share one, and each gets the bits that it would get alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from random import Random
from typing import Any, Protocol

from headstart.contract.stages import Example, Feature, Prediction, Tokenizer
from headstart.contract.task import Task


class Runtime(Protocol):
    """What computes a model's outputs: torch, or another library for an exported model."""

    @property
    def tokenizer(self) -> Tokenizer:
        """The model's tokenizer."""

    @property
    def precision(self) -> str:
        """What it computes in: fp32, bf16, fp16 …; it stands in the signature of scores."""

    def outputs(self, features: Sequence[Feature]) -> Iterator[tuple[int, Mapping[str, Any]]]:
        """The index of each feature with its outputs, as they come, in any order.

        Arrays by name, as `Task.reduce` reads them; of a generative task the text: {"text", "log_probability",
        "tokens", "ended", "cut"}.
        """

    def fingerprint(self) -> str:
        """A hash of all that the outputs depend on: weights, tokenizer, settings."""


class Predictor(Protocol):
    """A task with a trained model: what evaluation, serving and files in and out predict with."""

    @property
    def task(self) -> Task[Any]:
        """The task, with what it learned."""

    @property
    def precision(self) -> str:
        """What its model computes in: fp32, bf16, fp16 …"""

    def compose(self, examples: Sequence[Example], *, seed: int) -> Sequence[Example]:
        """The examples that the model is evaluated on: as they are, or composed, the same each time."""

    def encode(self, examples: Sequence[Example], rngs: Iterable[Random | None] | None = None) -> list[list[Feature]]:
        """Each example's features; `rngs` has a generator for each example, where it is encoded at random."""

    def outputs(self, features: Sequence[Sequence[Feature]]) -> list[list[Any]]:
        """The outputs of each example's features, each reduced to what `decode` needs."""

    def decode(self, examples: Sequence[Example], outputs: Sequence[Sequence[Any]]) -> list[Prediction]:
        """The outputs of each example as its prediction."""

    def predict_encoded(self, examples: Sequence[Example], features: Sequence[Sequence[Feature]]) -> list[Prediction]:
        """The predictions of examples that are encoded already."""

    def predict(self, examples: Iterable[Example], *, seed: int | None = None) -> Iterator[Prediction]:
        """One prediction for each example, in order, as they come.

        With a seed, a task that encodes at random (masked words) encodes the same each time.
        """

    def chunks(self, examples: Iterable[Example], seed: int | None = None) -> Iterator[tuple[list[Example], Any]]:
        """The examples in the parts that `predict` predicts one after another, with the random numbers of each part:
        wherever the parts are predicted by the same predictor, the predictions are the same.
        """

    def predict_chunk(self, chunk: Sequence[Example], random: Any = None) -> list[Prediction]:
        """The predictions of one part."""

    def fingerprint(self) -> str:
        """A hash of all that the predictions depend on, besides the examples."""
