"""The n-gram baseline of language models, on the model's tokens, with its predictions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from headstart.contract import Example, Feature, Prediction


@dataclass(frozen=True)
class FittedNGrams:
    """A fitted n-gram model."""

    model: Any

    @property
    def size_bytes(self) -> int:
        """Memory that it takes."""
        return int(self.model.size_bytes)

    def predict(self, examples: Sequence[Example], features: Sequence[Sequence[Feature]]) -> list[Prediction]:
        """The loss of the tokens that the model is scored on, given those before them."""
        predictions = []
        for example, feature_list in zip(examples, features, strict=True):
            token_ids, scored_from = joined_token_ids(feature_list)
            loss = float(self.model.token_losses(token_ids)[scored_from:len(token_ids)].sum())
            count = len(token_ids) - scored_from
            values = {"log_probability": -loss, "perplexity": math.exp(min(700.0, loss / count)) if count else 1.0}
            predictions.append(Prediction(example.row, values, {"loss": loss, "hits": 0.0, "count": count}))
        return predictions


def joined_token_ids(features: Sequence[Feature]) -> tuple[list[int], int]:
    """All tokens of an example, joined from its windows, and the index of the first that is scored."""
    token_ids = list(features[0].ids)
    label_positions = features[0].label_positions or [len(token_ids) - 1]
    scored_from = label_positions[0] + 1
    # The last token of a segment predicts the first token of the next one.
    if label_positions[-1] + 1 == len(token_ids) and len(features[0].targets["label"].value):
        token_ids.append(int(features[0].targets["label"].value[-1]))
    for feature in features[1:]:
        token_ids += [int(token) for token in feature.targets["label"].value]
    return token_ids, min(scored_from, len(token_ids))


def fit_ngrams(examples: Sequence[Example], features: Sequence[Sequence[Feature]], seed: int) -> FittedNGrams:
    """Count the training texts."""
    from headstart.baselines.ngram import NGram

    return FittedNGrams(NGram.fit([joined_token_ids(feature_list)[0] for feature_list in features]))
