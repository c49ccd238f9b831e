"""A text against every label: as a pair for each label, or as a vector beside the labels' vectors.

Shapes: C labels, W width of a vector, K classes of an entailment model.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from headstart.contract import Feature, Tokenizer
from headstart.models.loading.sentence_transformers_files import Pool, SentenceEncoder
from headstart.prediction.zero_shot.method import Entailment
from headstart.tasks.shared.text_pairs import LongTexts, TextPair, text_features

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Scorer(Protocol):
    """What makes a text's features and a logit for each label of their outputs."""

    @property
    def features_per_text(self) -> int:
        """How many features a short text has."""

    @property
    def identity(self) -> str:
        """All that its logits depend on besides the model."""

    def encode(self, example: TextPair, tokenizer: Tokenizer) -> list[Feature]:
        """The text's features."""

    def reduce(self, feature: Feature, output: Mapping[str, NDArray[Any]]) -> Any:
        """What `logits` needs of one feature's output."""

    def logits(self, outputs: Sequence[Any]) -> NDArray[Any]:
        """A logit for each label, (C,), of a text's outputs."""


@dataclass(frozen=True)
class EntailmentScorer:
    """Whether a hypothesis about each label follows from the text (Yin et al. 2019).

    One label for a text: the softmax over the labels of the logit of entailment. Several (`multi_label`): of each label
    the softmax of entailment against contradiction, which is the sigmoid of their difference.
    """

    method: Entailment
    hypotheses: tuple[tuple[int, ...], ...]  # token ids
    multi_label: bool

    @property
    def features_per_text(self) -> int:
        """One for each label."""
        return len(self.hypotheses)

    @property
    def identity(self) -> str:
        """The classes and hypotheses."""
        return repr((self.method, self.hypotheses, self.multi_label))

    def encode(self, example: TextPair, tokenizer: Tokenizer) -> list[Feature]:
        """A pair for each label; of a text that is too long its beginning, never less of the hypothesis."""
        text_ids, room = tokenizer.tokenize(example.text).ids, tokenizer.max_content_length(2)
        features = []
        for hypothesis in self.hypotheses:
            size = room - len(hypothesis)
            ids, types = tokenizer.with_special_tokens(text_ids[:size], hypothesis)
            features.append(Feature(ids, types, truncated_tokens=max(0, len(text_ids) - size)))
        return features

    def reduce(self, feature: Feature, output: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
        """The logits, (K,)."""
        return output["logits"].astype("float64")

    def logits(self, outputs: Sequence[NDArray[Any]]) -> NDArray[Any]:
        """Entailment, or with several labels entailment minus contradiction, (C,)."""
        import numpy as np

        table = np.asarray(outputs)  # (C, K)
        entailed: NDArray[Any] = table[:, self.method.entailment]
        return entailed - table[:, self.method.contradiction] if self.multi_label else entailed


@dataclass(frozen=True, eq=False)
class SimilarityScorer:
    """The cosine of a text's vector and each label's, divided by the temperature."""

    encoder: SentenceEncoder
    settings: LongTexts
    label_vectors: NDArray[Any]  # (C, W), of length 1
    temperature: float

    @property
    def features_per_text(self) -> int:
        """One."""
        return 1

    @property
    def identity(self) -> str:
        """The labels' vectors, and how a text's is made."""
        vectors = hashlib.sha256(self.label_vectors.tobytes()).hexdigest()
        return repr((self.encoder, self.settings, vectors, self.temperature))

    def encode(self, example: TextPair, tokenizer: Tokenizer) -> list[Feature]:
        """One feature, or one for each window of a long text."""
        text = TextPair(example.row, self.encoder.prepared(example.text))
        return text_features(text, {}, tokenizer, self.settings)

    def reduce(self, feature: Feature, output: Mapping[str, NDArray[Any]]) -> tuple[NDArray[Any], int]:
        """The vector, (W,), and how many tokens it is of."""
        return output["vector"], len(feature)

    def logits(self, outputs: Sequence[tuple[NDArray[Any], int]]) -> NDArray[Any]:
        """The cosines divided by the temperature, (C,)."""
        cosines: NDArray[Any] = self.label_vectors @ joined_vector(outputs, self.encoder.pool)
        return cosines / self.temperature


def joined_vector(outputs: Sequence[tuple[NDArray[Any], int]], pool: Pool) -> NDArray[Any]:
    """The vectors of a text's windows, each with its number of tokens, as one of length 1, (W,)."""
    import numpy as np

    vectors, sizes = np.asarray([vector for vector, _ in outputs]), np.asarray([size for _, size in outputs])
    vector: NDArray[Any] = vectors[0]
    if pool != "first":
        vector = np.average(vectors, axis=0, weights=sizes) if pool == "mean" else vectors.max(axis=0)
    return vector / max(float(np.linalg.norm(vector)), 1e-12)
