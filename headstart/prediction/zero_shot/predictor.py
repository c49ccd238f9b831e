"""Predictions of labels that a model was never trained on, as every other prediction of a classifier."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from random import Random
from typing import Any

from headstart.contract import Example, Feature, Prediction, Runtime, Task
from headstart.errors import UserError
from headstart.prediction.predictor import PREDICTION_CHUNK, with_truncated_tokens
from headstart.prediction.zero_shot.scorers import Scorer
from headstart.tasks.shared.text_pairs import TextPair
from headstart.version import __version__

# Features that are in memory together, and sorted by length: a text has one for each label where it is read beside it.
FEATURES_AT_ONCE = 16_384


@dataclass(frozen=True)
class ZeroShotPredictor:
    """A classification whose labels came with the call, with the runtime that computes the model's outputs."""

    task: Task[Any]
    runtime: Runtime
    scorer: Scorer

    @property
    def precision(self) -> str:
        """What its model computes in."""
        return self.runtime.precision

    def compose(self, examples: Sequence[Example], *, seed: int) -> Sequence[Example]:
        """The examples that it is evaluated on: as they are."""
        return examples

    def encode(self, examples: Sequence[Example], rngs: Iterable[Random | None] | None = None) -> list[list[Feature]]:
        """Each text's features; raises UserError (2) for a pair of texts."""
        features = []
        for example in examples:
            assert isinstance(example, TextPair), "only texts are labelled"
            if example.pair is not None:
                raise UserError("A row has two texts (text and pair); --labels labels one.",
                                fix="Take the column of the second text out of the file, or give it another name "
                                    "than pair; --text COLUMN names the column of the text.")
            features.append(self.scorer.encode(example, self.runtime.tokenizer))
        return features

    def outputs(self, features: Sequence[Sequence[Feature]]) -> list[list[Any]]:
        """The outputs of each text's features, each reduced as it comes."""
        flat_features = [feature for text_features in features for feature in text_features]
        reduced: list[Any] = [None] * len(flat_features)
        for index, output in self.runtime.outputs(flat_features):
            reduced[index] = self.scorer.reduce(flat_features[index], output)
        remaining = iter(reduced)
        return [list(islice(remaining, len(text_features))) for text_features in features]

    def decode(self, examples: Sequence[Example], outputs: Sequence[Sequence[Any]]) -> list[Prediction]:
        """The outputs of each text as its prediction."""
        return [self.task.decode(example, [self.scorer.logits(text_outputs)])
                for example, text_outputs in zip(examples, outputs, strict=True)]

    def predict_encoded(self, examples: Sequence[Example], features: Sequence[Sequence[Feature]]) -> list[Prediction]:
        """The predictions of texts that are encoded already."""
        predictions = self.decode(examples, self.outputs(features))
        return [with_truncated_tokens(prediction, text_features)
                for prediction, text_features in zip(predictions, features, strict=True)]

    def predict(self, examples: Iterable[Example], *, seed: int | None = None) -> Iterator[Prediction]:
        """One prediction for each text, in order, chunk by chunk."""
        for chunk, _ in self.chunks(examples, seed):
            yield from self.predict_chunk(chunk)

    def chunks(self, examples: Iterable[Example], seed: int | None = None) -> Iterator[tuple[list[Example], None]]:
        """The texts in parts that are predicted together; nothing is encoded at random."""
        source = iter(examples)
        size = min(PREDICTION_CHUNK, max(1, FEATURES_AT_ONCE // self.scorer.features_per_text))
        while chunk := list(islice(source, size)):
            yield chunk, None

    def predict_chunk(self, chunk: Sequence[Example], random: None = None) -> list[Prediction]:
        """Predictions for some texts."""
        return self.predict_encoded(chunk, self.encode(chunk))

    def fingerprint(self) -> str:
        """A hash of all that the predictions depend on: the labels, how they are read, the runtime's own."""
        task = self.task
        identity = (__version__, task.name, task.settings, task.learned.json(), self.scorer.identity,
                    self.runtime.fingerprint())
        return hashlib.sha256(repr(identity).encode()).hexdigest()
