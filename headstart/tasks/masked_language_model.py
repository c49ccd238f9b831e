"""Masked language model: guess hidden words; goes on with pre-training on the user's own texts.

A asked tokens, V pieces, M examples, R resamples.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from headstart.contract import (
    Baseline,
    Column,
    Detection,
    Example,
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
    RowFault,
    Target,
    Task,
    Tokenizer,
)
from headstart.settings import Note
from headstart.tasks.shared.masking import fit_neighbours, hidden, reduced
from headstart.tasks.shared.text_blocks import blocks
from headstart.tasks.shared.text_pairs import TEXT_NAMES, plain

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from headstart.contract import Floats


@dataclass(frozen=True)
class Settings:
    """What a masked language model can be told."""

    share: Annotated[float, Note("of the tokens that are hidden", above=0, below=1)] = 0.15
    whole_words: Annotated[bool, Note("hide all pieces of a word together")] = True
    blocks: Annotated[bool, Note("join texts to blocks of the longest input, instead of one text an example")] = False
    n_best: Annotated[int, Note("guesses for each mask", low=1)] = 5


@dataclass(frozen=True)
class Text(Example):
    """A text."""

    text: str


@dataclass(frozen=True)
class MaskedLanguageModel(Task[Text]):
    """Which words are hidden in a text."""

    name: ClassVar[str] = "masked-language-model"
    summary: ClassVar[str] = "guess hidden words: go on with pre-training on your own texts"
    fields: ClassVar[tuple[Field, ...]] = (Field("text", "the text", usual=TEXT_NAMES),)
    kinds: ClassVar[tuple[Kind, ...]] = ("encoder",)
    best: ClassVar[tuple[str, bool]] = ("pseudo_perplexity", False)
    default_model: ClassVar[str] = "distilbert-base-cased"
    Settings: ClassVar[type] = Settings
    draws: ClassVar[bool] = True

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
        text = plain(row, "text")
        if text is None or not text.strip():
            raise RowFault("E201", "the text is empty.", fix="Fill it in, or leave the row out (--bad-rows skip).", field="text")
        return Text(row.id, text)

    def subject(self, example: Text) -> str:
        """The text."""
        return example.text

    def cuts(self) -> bool:
        """Long texts are read in windows."""
        return False

    def learn(self, examples: Iterable[Text]) -> Learned:
        """Nothing beside the weights."""
        return Learned()

    @classmethod
    def adopt(cls, config: Mapping[str, Json]) -> Learned | None:
        """A published masked language model."""
        return Learned() if (config.get("architectures") or [""])[0].endswith("ForMaskedLM") else None

    def compose(self, examples: Sequence[Text], tokenizer: Tokenizer, draw: Random) -> Sequence[Text]:
        """The texts as they are, or joined until a block is full; a block keeps the id of its first row."""
        if not self.settings.blocks:
            return examples
        return [Text(row, text) for row, text in blocks(((one.row, one.text) for one in examples), tokenizer, tokenizer.room(1))]

    def encode(self, example: Text, tokenizer: Tokenizer, draw: Random | None = None) -> list[Feature]:
        """One feature for each window; with a draw some tokens are hidden, else the masks in the text are asked."""
        held = tokenizer.tokenize(example.text)
        room, at = tokenizer.room(1), tokenizer.lay_out([-1])[0].index(-1)
        made, begins = [], range(0, max(1, len(held.ids)), room)
        for begin in begins:
            part = list(held.ids[begin:begin + room])
            if draw is not None and part:
                offsets = list(held.offsets or ())[begin:begin + room]
                part, places, gold = hidden(part, offsets, example.text, tokenizer, draw, self.settings.share, self.settings.whole_words)
                targets = {"label": Target(gold, "asked")}
            else:
                places, targets = [place for place, token in enumerate(part) if token == tokenizer.mask_id], {}
            ids, types = tokenizer.lay_out(part)
            made.append(Feature(ids, types, targets, asks=[place + at for place in places], weight=1 / len(begins),
                                info={} if targets else {"pieces": tokenizer.pieces}))
        return made

    def head(self) -> HeadSpec:
        """A score for each piece of the vocabulary, at each hidden place."""
        return HeadSpec("masked-language-model", 0)

    def reduce(self, feature: Feature, output: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
        """Likeliest pieces, or how surprising the hidden ones were."""
        gold = feature.targets["label"].value if feature.targets else None
        return reduced(output["logits"], feature.info, gold, self.settings.n_best)

    def decode(self, example: Text, pieces: Sequence[dict[str, Any]]) -> Prediction:
        """The guesses for each mask, in order."""
        fills = [one for piece in pieces for one in piece["fills"]]
        sums = {name: sum(piece[name] for piece in pieces) for name in ("loss", "hits", "count")}
        return Prediction(example.row, {"fills": fills}, sums)

    def measure(self, example: Text, prediction: Prediction) -> Mapping[str, Any]:
        """Surprise, hits and number of the hidden tokens."""
        return {name: float(prediction.detail[name]) for name in ("loss", "hits", "count")}

    def score(self, measures: Measures, weights: Floats) -> dict[str, NDArray[Any]]:
        """pseudo_perplexity and masked_accuracy over the hidden tokens of all texts."""
        import numpy as np

        total = weights @ measures["count"]
        total = np.where(total > 0, total, np.nan)
        return {"pseudo_perplexity": np.exp(weights @ measures["loss"] / total), "masked_accuracy": weights @ measures["hits"] / total}

    def describe(self, name: str, measures: Measures) -> tuple[str, bool, str]:
        """Definition, direction and reason of a score."""
        words = {"pseudo_perplexity": "exp(mean of -log p(hidden token)) on masks fixed by the seed; depends on the vocabulary",
                 "masked_accuracy": "share of hidden tokens whose likeliest guess is right"}
        return words[name], name == "masked_accuracy", "no token was hidden"

    def baselines(self) -> tuple[Baseline, ...]:
        """Each hidden token guessed from its two neighbours."""
        return (Baseline("n-gram of both neighbours", fit_neighbours, needs_features=True),)

    def figures(self, examples: Sequence[Text], predictions: Sequence[Prediction], measures: Measures) -> list[Figure]:
        """The texts that surprise the model most."""
        import numpy as np

        each = measures["loss"] / np.maximum(1, measures["count"])
        items = [{"text": examples[at].text, "title": f"row {examples[at].row}", "fields": {"mean surprise": float(each[at])}}
                 for at in np.argsort(-each, kind="stable")[:20].tolist()]
        return [Figure("surprising", "Most surprising texts", "texts", {"items": items})]
