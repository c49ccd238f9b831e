"""A sentence encoder as the runtime of a predictor: the pooled states of each feature, {"vector": (W,)}."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headstart.contract import Feature
from headstart.data.features.batches import length_batches
from headstart.models.loading.weights import checksum
from headstart.models.precision import precision_text
from headstart.prediction.embed import Pool, pooled_vectors

if TYPE_CHECKING:
    from headstart.models.model import Model
    from headstart.models.tokenizers.tokenizer import FamilyTokenizer


@dataclass(frozen=True)
class VectorRuntime:
    """A model without a head in evaluation mode; a batch has at most `batch_tokens` tokens, padding included."""

    model: Model
    pool: Pool
    batch_tokens: int

    @property
    def tokenizer(self) -> FamilyTokenizer:
        """The model's tokenizer."""
        return self.model.tokenizer

    @property
    def precision(self) -> str:
        """What the model computes in."""
        return precision_text(self.model)

    def outputs(self, features: Sequence[Feature]) -> Iterator[tuple[int, Mapping[str, Any]]]:
        """The index of each feature with its vector, batch by batch."""
        for positions in length_batches(features, self.batch_tokens):
            vectors = pooled_vectors(self.model, [features[position] for position in positions], self.pool)
            for position, (vector, _) in zip(positions, vectors, strict=True):
                yield position, {"vector": vector}

    def fingerprint(self) -> str:
        """A hash of the weights, the pooling and the longest input."""
        tokenizer = self.model.tokenizer
        prefix = f"{self.model.module.base_model_prefix}."  # the head, which nothing reads, is a random one
        weights = [weight for name, weight in self.model.module.named_parameters() if name.startswith(prefix)]
        identity = (self.pool, tokenizer.max_length, tokenizer.single_template, checksum(weights), self.precision)
        return hashlib.sha256(repr(identity).encode()).hexdigest()
