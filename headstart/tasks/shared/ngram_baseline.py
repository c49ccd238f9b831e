"""The n-gram rival of language models, on the model's own tokens, in the form of its predictions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from headstart.contract import Example, Feature, Prediction


@dataclass(frozen=True)
class Counted:
    """A fitted n-gram model."""

    model: Any

    @property
    def size_bytes(self) -> int:
        """How much it takes to keep."""
        return int(self.model.size_bytes)

    def predict(self, examples: Sequence[Example], features: Sequence[Sequence[Feature]]) -> list[Prediction]:
        """The surprise of the tokens that the model is asked for, given those before them."""
        made = []
        for example, held in zip(examples, features, strict=True):
            ids, first = whole(held)
            loss = float(self.model.token_losses(ids)[first:len(ids)].sum())
            count = len(ids) - first
            values = {"log_probability": -loss, "perplexity": math.exp(min(700.0, loss / count)) if count else 1.0}
            made.append(Prediction(example.row, values, {"loss": loss, "hits": 0.0, "count": count}))
        return made


def whole(features: Sequence[Feature]) -> tuple[list[int], int]:
    """All tokens of an example, put together from its windows, and the first that is asked."""
    ids = list(features[0].ids)
    asks = features[0].asks or [len(ids) - 1]
    first = asks[0] + 1
    if asks[-1] + 1 == len(ids) and len(features[0].targets["label"].value):  # its last token asks for the next piece's first
        ids.append(int(features[0].targets["label"].value[-1]))
    for feature in features[1:]:
        ids += [int(token) for token in feature.targets["label"].value]
    return ids, min(first, len(ids))


def fit_ngrams(examples: Sequence[Example], features: Sequence[Sequence[Feature]], seed: int) -> Counted:
    """Count the training texts."""
    from headstart.baselines.ngram import NGram

    return Counted(NGram.fit([whole(held)[0] for held in features]))
