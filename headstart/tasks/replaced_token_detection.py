"""Replaced-token detection: which tokens of a text were replaced; how ELECTRA's discriminator is trained.

Clark et al. 2020, ELECTRA, section 3.1; tokens are replaced by random ones where the paper has a generator
model, which makes them easier to detect. T tokens of a feature, M examples, R resamples.
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
from headstart.contract.losses import TokenBinaryCrossEntropy
from headstart.settings import Note
from headstart.tasks.shared.single_text import Text, as_example, read_text
from headstart.tasks.shared.text_blocks import TextBlocks, is_running_text, piece_key
from headstart.tasks.shared.text_pairs import TEXT_NAMES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from headstart.contract import Floats

COUNTS = ("hits", "predicted", "replaced", "correct", "tokens", "loss")


@dataclass(frozen=True)
class Settings:
    """Settings of replaced-token detection."""

    mask_probability: Annotated[float, Note("share of tokens that are replaced", above=0, below=1)] = 0.15


@dataclass(frozen=True)
class ReplacedTokenDetection(Task[Text]):
    """Which tokens of a text were replaced."""

    name: ClassVar[str] = "replaced-token-detection"
    summary: ClassVar[str] = "which tokens of a text were replaced: ELECTRA's pre-training"
    pipeline_tag: ClassVar[str] = "token-classification"
    fields: ClassVar[tuple[Field, ...]] = (Field("text", "the text", aliases=TEXT_NAMES),)
    kinds: ClassVar[tuple[Kind, ...]] = ("encoder",)
    selection_score: ClassVar[tuple[str, bool]] = ("f1", True)
    reads_text_as: ClassVar[Literal["lines", "blocks", "sentences"]] = "blocks"
    default_model: ClassVar[str] = "google/electra-small-discriminator"
    Settings: ClassVar[type] = Settings
    random_encoding: ClassVar[bool] = True

    @classmethod
    def detect(cls, columns: Sequence[Column]) -> Detection | None:
        """Never detected: texts alone do not point to it."""
        return None

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
        """A published ELECTRA discriminator."""
        return Learned() if (config.get("architectures") or [""])[0] == "ElectraForPreTraining" else None

    def compose(self, examples: Sequence[Text], tokenizer: Tokenizer, rng: Random) -> Sequence[Text]:
        """The texts as they are; of a running text, its blocks."""
        if not is_running_text(examples):
            return examples
        return TextBlocks(examples, tokenizer, as_example, size=tokenizer.max_content_length(1))

    def encode(self, example: Text, tokenizer: Tokenizer, rng: Random | None = None) -> list[Feature]:
        """One feature for each window; with `rng` some tokens are replaced, and each token is labelled with whether it
        was.
        """
        tokens = example.tokens(tokenizer)
        max_tokens, content_start = tokenizer.max_content_length(1), tokenizer.with_special_tokens([-1])[0].index(-1)
        features, starts = [], range(0, max(1, len(tokens.ids)), max_tokens)
        for start in starts:
            window_ids = list(tokens.ids[start:start + max_tokens])
            targets: dict[str, Target] = {}
            if rng is not None and window_ids:
                window_ids, is_replaced = replace_tokens(window_ids, rng, self.settings.mask_probability, tokenizer)
                ids, types = tokenizer.with_special_tokens(window_ids)
                content_end = content_start + len(window_ids)
                targets = {"label": Target([-100] * content_start + is_replaced + [-100] * (len(ids) - content_end),
                                           "token")}
            else:
                ids, types = tokenizer.with_special_tokens(window_ids)
            info = {} if targets else {"content_start": content_start,
                                       "offsets": list(tokens.offsets or ())[start:start + max_tokens]}
            features.append(Feature(ids, types, targets, weight=1 / len(starts), info=info))
        return features

    def head(self) -> HeadSpec:
        """One score for each token."""
        return HeadSpec("replaced-token", 1, loss=TokenBinaryCrossEntropy())

    def reduce(self, feature: Feature, output: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
        """Counts of the detected tokens; without labels, the probability of each token of the text."""
        import numpy as np

        logits = output["logits"][:, 0].astype("float64")
        if not feature.targets:
            content_start, offsets = int(feature.info["content_start"]), feature.info["offsets"]
            probabilities = 1 / (1 + np.exp(-logits[content_start:content_start + len(offsets)]))
            spans = [(*offset, float(probability)) for offset, probability in zip(offsets, probabilities, strict=True)]
            return {"spans": spans, **dict.fromkeys(COUNTS, 0.0)}
        gold = np.asarray(feature.targets["label"].value)
        has_label = gold >= 0
        logits, gold = logits[has_label], gold[has_label]
        predicted = logits > 0
        return {"spans": [], "hits": float((predicted & (gold == 1)).sum()), "predicted": float(predicted.sum()),
                "replaced": float(gold.sum()), "correct": float((predicted == (gold == 1)).sum()),
                "tokens": float(len(gold)), "loss": float(np.logaddexp(0, np.where(gold == 1, -logits, logits)).sum())}

    def decode(self, example: Text, outputs: Sequence[dict[str, Any]]) -> Prediction:
        """The tokens that are likelier replaced than not, in the order of the text."""
        spans = [{"start": start, "end": end, "text": example.text[start:end], "probability": probability}
                 for output in outputs for start, end, probability in output["spans"] if probability > 0.5]
        return Prediction(example.row, {"spans": spans},
                          {name: sum(output[name] for output in outputs) for name in COUNTS})

    def measure(self, example: Text, prediction: Prediction) -> Mapping[str, Any]:
        """Counts of tokens: hits, predicted as replaced, replaced, correct, all; and the sum of their losses."""
        return {name: float(prediction.detail[name]) for name in COUNTS}

    def score(self, measures: Measures, weights: Floats) -> dict[str, NDArray[Any]]:
        """f1, precision and recall of the replaced tokens, accuracy and loss of all."""
        import numpy as np

        sums = {name: weights @ measures[name] for name in COUNTS}

        def ratio(numerator: str, denominator: NDArray[Any]) -> NDArray[Any]:
            quotient: NDArray[Any] = np.divide(sums[numerator], denominator, out=np.full(len(denominator), np.nan),
                                               where=denominator > 0)
            return quotient

        return {"f1": 2 * ratio("hits", sums["predicted"] + sums["replaced"]),
                "precision": ratio("hits", sums["predicted"]), "recall": ratio("hits", sums["replaced"]),
                "accuracy": ratio("correct", sums["tokens"]), "loss": ratio("loss", sums["tokens"])}

    def describe(self, name: str, measures: Measures) -> tuple[str, bool, str]:
        """Definition, direction and reason of a score."""
        definitions = {"f1": "2·precision·recall/(precision+recall) of the tokens predicted as replaced",
                       "precision": "of the tokens predicted as replaced", "recall": "of the replaced tokens",
                       "accuracy": "share of tokens classified correctly", "loss": "mean cross-entropy of a token"}
        return (f"{definitions[name]}; replacements fixed by the seed", name != "loss",
                "no token was replaced or predicted as replaced")

    def baselines(self) -> tuple[Baseline, ...]:
        """Predicting every token as replaced."""
        return (Baseline("every token", lambda *_: EveryTokenBaseline(), needs_features=True),)


def replace_tokens(ids: Sequence[int], rng: Random, replaced_share: float,
                   tokenizer: Tokenizer) -> tuple[list[int], list[int]]:
    """Ids with about this share replaced by random ones, at least one; and 1 where that changed the id."""
    new_ids = list(ids)
    for position in rng.sample(range(len(ids)), max(1, round(replaced_share * len(ids)))):
        new_ids[position] = tokenizer.random_token_id(rng)
    return new_ids, [int(old_id != new_id) for old_id, new_id in zip(ids, new_ids, strict=True)]


@dataclass(frozen=True)
class EveryTokenBaseline:
    """The baseline that predicts every token as replaced."""

    size_bytes: int = 1

    def predict(self, examples: Sequence[Text], features: Sequence[Sequence[Feature]]) -> list[Prediction]:
        """Every token is predicted; the loss has no meaning and is that of a coin."""
        import math

        predictions = []
        for example, feature_list in zip(examples, features, strict=True):
            labels = [label for feature in feature_list if feature.targets for label in feature.targets["label"].value
                      if label >= 0]
            count, hits = float(len(labels)), float(sum(labels))
            predictions.append(Prediction(example.row, {"spans": []}, {
                "hits": hits, "predicted": count, "replaced": hits, "correct": hits, "tokens": count,
                "loss": count * math.log(2)}))
        return predictions
