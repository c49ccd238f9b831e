"""Next sentence: whether a text follows another, learned from documents (Devlin et al. 2018, section 3.1).

M examples, R resamples.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any, ClassVar

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
from headstart.errors import Finding
from headstart.tasks.shared import sentence_pairs
from headstart.tasks.shared.sentence_pairs import LABELS, Segments
from headstart.tasks.shared.text_pairs import truncated

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from headstart.contract import Floats


@dataclass(frozen=True)
class Settings:
    """Nothing can be set."""


@dataclass(frozen=True)
class NextSentence(Task[Segments]):
    """Does the second text follow the first?"""

    name: ClassVar[str] = "next-sentence"
    summary: ClassVar[str] = "whether a text follows another, learned from documents"
    fields: ClassVar[tuple[Field, ...]] = sentence_pairs.FIELDS
    kinds: ClassVar[tuple[Kind, ...]] = ("encoder",)
    best: ClassVar[tuple[str, bool]] = ("accuracy", True)
    default_model: ClassVar[str] = "bert-base-cased"
    Settings: ClassVar[type] = Settings
    draws: ClassVar[bool] = True

    @classmethod
    def detect(cls, columns: Sequence[Column]) -> Detection | None:
        """Never by itself: texts alone are no sign of it."""
        return None

    def read(self, row: Row) -> Segments:
        """A document, or a pair; raises RowFault."""
        return sentence_pairs.read(row)

    def subject(self, example: Segments) -> str:
        """The text, with its pair."""
        return example.text if example.pair is None else f"{example.text}\n{example.pair}"

    def unit(self, example: Segments) -> str:
        """A document stays together."""
        return example.document or example.text

    def gold(self, example: Segments) -> Json:
        """Whether the second text follows."""
        return None if example.follows is None else LABELS[example.follows]

    def group(self, example: Segments) -> Hashable:
        """Pairs of one document depend on one another."""
        return example.row

    def learn(self, examples: Iterable[Segments]) -> Learned:
        """The two answers."""
        return Learned(LABELS)

    @classmethod
    def adopt(cls, config: Mapping[str, Json]) -> Learned | None:
        """A published model with a next-sentence head."""
        return Learned(LABELS) if (config.get("architectures") or [""])[0].endswith("ForNextSentencePrediction") else None

    def check(self, splits: Mapping[str, Sequence[Segments]]) -> list[Finding]:
        """Documents of two sentences, and more than one of them."""
        return sentence_pairs.check(splits)

    def compose(self, examples: Sequence[Segments], tokenizer: Tokenizer, draw: Random) -> Sequence[Segments]:
        """Neighbouring sentences of each document, half of them with a random second."""
        return sentence_pairs.pairs(examples, tokenizer, draw, short=0.0, single=True)

    def encode(self, example: Segments, tokenizer: Tokenizer, draw: Random | None = None) -> list[Feature]:
        """Both texts, the longer cut first."""
        first = tokenizer.tokenize(example.text).ids
        second = tokenizer.tokenize(example.pair).ids if example.pair is not None else []
        kept, cut = truncated(len(first), len(second), tokenizer.room(2))
        ids, types = tokenizer.lay_out(first[:kept[0]], second[:kept[1]])
        return [Feature(ids, types, {} if example.follows is None else {"label": Target(example.follows)}, cut=cut)]

    def head(self) -> HeadSpec:
        """Two scores: follows, does not."""
        return HeadSpec("next-sentence", 2, LABELS)

    def reduce(self, feature: Feature, output: Mapping[str, NDArray[Any]]) -> Any:
        """The two scores."""
        return output["logits"].astype("float64")

    def decode(self, example: Segments, pieces: Sequence[Any]) -> Prediction:
        """The likelier answer."""
        from headstart.tasks.shared.classification import softmax_prediction

        return softmax_prediction(example.row, LABELS, pieces[0])

    def measure(self, example: Segments, prediction: Prediction) -> Mapping[str, Any]:
        """Right or wrong."""
        return {"right": float(example.follows is not None and prediction.values["prediction"] == LABELS[example.follows]),
                "known": float(example.follows is not None)}

    def score(self, measures: Measures, weights: Floats) -> dict[str, NDArray[Any]]:
        """accuracy."""
        import numpy as np

        total = weights @ measures["known"]
        return {"accuracy": weights @ measures["right"] / np.where(total > 0, total, np.nan)}

    def describe(self, name: str, measures: Measures) -> tuple[str, bool, str]:
        """Definition, direction and reason of a score."""
        return "share of pairs whose answer is right (half of them are random pairs)", True, "there are no pairs"
