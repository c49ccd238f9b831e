"""A model that is served: its name, its engine, and rows in, predictions out."""

from __future__ import annotations

import dataclasses
import itertools
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from headstart.api.model import Model
from headstart.api.predictions import values_of_rows
from headstart.contract import Example, Feature, Json, Prediction, Predictor
from headstart.data.examples import Reading
from headstart.serving.body import Bounds
from headstart.serving.engine import BatchRecord, Engine, Limits
from headstart.serving.refusal import Refusal
from headstart.serving.rows import read_request_rows
from headstart.serving.samples import example_rows
from headstart.tasks.question_answering.reading import Question
from headstart.tasks.question_answering.token_chart import token_chart

REQUEST_NUMBERS = itertools.count()


class Work(ABC):
    """What is computed of units; units of equal work share a batch, so every work is hashable."""

    @abstractmethod
    def compute(self, units: Sequence[Any]) -> Sequence[Any]:
        """A result for each unit, in order."""


@dataclass(frozen=True)
class EncodedRow:
    """A row that was read and tokenized."""

    example: Example
    features: Sequence[Feature]

    @property
    def tokens(self) -> int:
        """Tokens that the model reads."""
        return sum(map(len, self.features))


@dataclass(frozen=True, eq=False)
class Predicting(Work):
    """Predictions of encoded rows, which all share batches."""

    predictor: Predictor

    def compute(self, units: Sequence[EncodedRow]) -> list[Prediction]:
        """A prediction for each row."""
        return self.predictor.predict_encoded([unit.example for unit in units], [unit.features for unit in units])


@dataclass(frozen=True)
class PreparedRows:
    """Rows of one request, ready for the engine."""

    reading: Reading
    units: Sequence[EncodedRow]

    @property
    def tokens(self) -> list[int]:
        """Tokens of each row."""
        return [unit.tokens for unit in self.units]


def compute_units(work: Hashable, units: Sequence[Any]) -> Sequence[Any]:
    """What the engine's thread does: the key of a batch is its work."""
    assert isinstance(work, Work)
    return work.compute(units)


@dataclass(eq=False)
class ServedModel:
    """A model under its name, with the engine whose thread alone computes with it; `version` is a hash of all that its
    predictions depend on.
    """

    name: str
    model: Model
    limits: Limits
    bounds: Bounds
    observe: Callable[[BatchRecord], None] = lambda record: None
    predicting: Predicting = field(init=False)
    engine: Engine[Any, Any] = field(init=False)
    version: str = field(init=False)
    examples: list[dict[str, Json]] = field(init=False)  # rows to begin with on the page
    is_explaining: bool = field(init=False, default=False)  # whether a row is being attributed to its words

    def __post_init__(self) -> None:
        predictor = self.model.predictor(batch_tokens=self.limits.batch_tokens)
        self.predicting, self.version = Predicting(predictor), predictor.fingerprint()[:16]
        self.examples = example_rows(self.model)
        self.engine = Engine(compute_units, self.limits, observe=self.observe)

    @property
    def reads_pairs(self) -> bool:
        """Whether it may have been trained on pairs of texts: what no run says is not known."""
        columns = self.model.task.trained_columns
        return self.model.zero_shot is None and (not columns or "pair" in columns)

    def prepare(self, rows: Sequence[Mapping[str, Json]]) -> PreparedRows:
        """Read and tokenize rows, in the thread of their request; raises Refusal (413, 422)."""
        reading = read_request_rows(self.model.task, rows)
        examples = list(reading.examples)
        number = next(REQUEST_NUMBERS)
        features = self.predicting.predictor.encode(examples)
        units = [EncodedRow(example, [of_request(feature, number) for feature in example_features])
                 for example, example_features in zip(examples, features, strict=True)]
        self.check_tokens(sum(unit.tokens for unit in units))
        return PreparedRows(reading, units)

    def check_tokens(self, tokens: int) -> None:
        """Refuse more tokens than one request may have; raises Refusal (413)."""
        if tokens > self.bounds.tokens:
            raise Refusal(413, f"{self.bounds.tokens:,} tokens at most were expected in one request, but {tokens:,} "
                          "came.", "Send fewer or shorter rows.")

    def submit(self, work: Work, units: Sequence[Any], tokens: Sequence[int]) -> Future[list[Any]]:
        """A future of the results of units; raises QueueFull and EngineClosed."""
        return self.engine.submit(units, tokens, key=work)

    def predict(self, prepared: PreparedRows) -> Future[list[Prediction]]:
        """A future of the predictions of rows."""
        return self.submit(self.predicting, prepared.units, prepared.tokens)

    def values(self, prepared: PreparedRows, predictions: Sequence[Prediction]) -> list[dict[str, Json]]:
        """Predictions as `Model.predict` has them: one dict a row."""
        return values_of_rows(self.model.task, prepared.reading, predictions)

    def details(self, prepared: PreparedRows, predictions: Sequence[Prediction]) -> list[dict[str, Json]]:
        """What stands behind each prediction: of an answer the probabilities of its starts and ends by token."""
        return [{"chart": token_chart(unit.example, prediction).json()} if isinstance(unit.example, Question) else {}
                for unit, prediction in zip(prepared.units, predictions, strict=True)]


def of_request(feature: Feature, number: int) -> Feature:
    """A feature whose group and stream are those of its request: rows of several requests have the same numbers."""
    if feature.group is None and feature.stream is None:
        return feature
    return dataclasses.replace(feature, group=None if feature.group is None else (number, feature.group),
                               stream=None if feature.stream is None else (number, feature.stream))
