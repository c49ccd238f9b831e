"""BERT's pre-training: masked words and next sentence together, from documents (Devlin et al. 2018, appendix A.2).

A asked tokens, V pieces, M examples, R resamples.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

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
from headstart.settings import Note
from headstart.tasks.shared import sentence_pairs
from headstart.tasks.shared.masking import hidden, reduced
from headstart.tasks.shared.sentence_pairs import LABELS, Segments
from headstart.tasks.shared.text_pairs import truncated

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from headstart.contract import Floats


@dataclass(frozen=True)
class Settings:
    """What BERT's pre-training can be told."""

    share: Annotated[float, Note("of the tokens that are hidden", above=0, below=1)] = 0.15
    whole_words: Annotated[bool, Note("hide all pieces of a word together")] = False
    short: Annotated[float, Note("share of pairs that are shorter than the longest input", low=0, high=1)] = 0.1
    n_best: Annotated[int, Note("guesses for each mask", low=1)] = 5


@dataclass(frozen=True)
class BertPretraining(Task[Segments]):
    """Hidden words, and whether the second text follows the first."""

    name: ClassVar[str] = "bert-pretraining"
    summary: ClassVar[str] = "masked words and next sentence from documents, as BERT was made"
    fields: ClassVar[tuple[Field, ...]] = sentence_pairs.FIELDS
    kinds: ClassVar[tuple[Kind, ...]] = ("encoder",)
    best: ClassVar[tuple[str, bool]] = ("loss", False)
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
        """The two answers about pairs."""
        return Learned(LABELS)

    @classmethod
    def adopt(cls, config: Mapping[str, Json]) -> Learned | None:
        """A published BERT with both of its heads."""
        return Learned(LABELS) if (config.get("architectures") or [""])[0] == "BertForPreTraining" else None

    def check(self, splits: Mapping[str, Sequence[Segments]]) -> list[Finding]:
        """Documents of two sentences, and more than one of them."""
        return sentence_pairs.check(splits)

    def compose(self, examples: Sequence[Segments], tokenizer: Tokenizer, draw: Random) -> Sequence[Segments]:
        """Pairs of segments as long as the input, half of them with a random second."""
        return sentence_pairs.pairs(examples, tokenizer, draw, short=self.settings.short, single=False)

    def encode(self, example: Segments, tokenizer: Tokenizer, draw: Random | None = None) -> list[Feature]:
        """Both segments; with a draw some tokens are hidden, else the masks in the texts are asked."""
        texts = [example.text] if example.pair is None else [example.text, example.pair]
        tokens = [tokenizer.tokenize(text) for text in texts]
        sizes = [len(one.ids) for one in tokens]
        room = tokenizer.room(len(texts))
        kept, cut = truncated(sizes[0], sizes[1], room) if len(texts) == 2 else ((min(sizes[0], room), 0), max(0, sizes[0] - room))
        parts, asks, gold = [list(one.ids[:size]) for one, size in zip(tokens, kept, strict=False)], [], []
        for number, text in enumerate(texts):
            at = tokenizer.lay_out(*[list(part) for part in parts[:number]], [-1], *[[]] * (len(texts) - number - 1))[0].index(-1)
            if draw is not None and parts[number]:
                offsets = list(tokens[number].offsets or ())[:kept[number]]
                parts[number], places, own = hidden(parts[number], offsets, text, tokenizer, draw, self.settings.share,
                                                    self.settings.whole_words)
                gold += own
            else:
                places = [place for place, token in enumerate(parts[number]) if token == tokenizer.mask_id]
            asks += [at + place for place in places]
        ids, types = tokenizer.lay_out(*parts)
        targets = {} if draw is None else {"label": Target(gold, "asked"),
                                           "next": Target(-100 if example.follows is None else example.follows)}
        return [Feature(ids, types, targets, cut=cut, asks=asks, info={} if targets else {"pieces": tokenizer.pieces})]

    def head(self) -> HeadSpec:
        """A score for each piece of the vocabulary at each hidden place, and two for the pair."""
        return HeadSpec("pre-training", 0, loss="pretraining")

    def reduce(self, feature: Feature, output: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
        """Guesses or surprise, and the two scores of the pair."""
        gold = feature.targets["label"].value if feature.targets else None
        return {**reduced(output["logits"], feature.info, gold, self.settings.n_best), "next": output["next"].astype("float64")}

    def decode(self, example: Segments, pieces: Sequence[dict[str, Any]]) -> Prediction:
        """Whether the second follows the first, and the guesses for each mask."""
        from headstart.tasks.shared.classification import softmax_prediction

        found = softmax_prediction(example.row, LABELS, pieces[0]["next"])
        return Prediction(example.row, {**found.values, "fills": pieces[0]["fills"]},
                          {name: pieces[0][name] for name in ("loss", "hits", "count")})

    def measure(self, example: Segments, prediction: Prediction) -> Mapping[str, Any]:
        """Surprise of the hidden tokens and of the pair's answer."""
        import math

        known = example.follows is not None
        share = prediction.values["probabilities"][LABELS[example.follows]] if example.follows is not None else 1.0
        return {**{name: float(prediction.detail[name]) for name in ("loss", "hits", "count")}, "known": float(known),
                "surprise": -math.log(max(share, 1e-12)), "right": float(known and share >= 0.5)}

    def score(self, measures: Measures, weights: Floats) -> dict[str, NDArray[Any]]:
        """loss (mean over hidden tokens, plus mean over pairs), masked_accuracy, accuracy, pseudo_perplexity."""
        import numpy as np

        words, known = (np.where(total > 0, total, np.nan) for total in (weights @ measures["count"], weights @ measures["known"]))
        own = weights @ measures["loss"] / words
        return {"loss": own + weights @ measures["surprise"] / known, "masked_accuracy": weights @ measures["hits"] / words,
                "accuracy": weights @ measures["right"] / known, "pseudo_perplexity": np.exp(own)}

    def describe(self, name: str, measures: Measures) -> tuple[str, bool, str]:
        """Definition, direction and reason of a score."""
        words = {"loss": "mean -log p(hidden token) plus mean -log p(pair's answer), on masks and pairs fixed by the seed",
                 "masked_accuracy": "share of hidden tokens whose likeliest guess is right",
                 "accuracy": "share of pairs whose answer is right (half of them are random pairs)",
                 "pseudo_perplexity": "exp(mean of -log p(hidden token))"}
        return words[name], "accuracy" in name, "there are no hidden tokens or no pairs"
