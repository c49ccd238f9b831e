"""Text classification: one label for each text (or pair of texts), binary or multiclass.

C classes, M examples, R resamples.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

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
from headstart.tasks._classification_baselines import as_prediction, baselines, class_of
from headstart.tasks._columns import few_labels, longest_text, named, only_label
from headstart.text.windows import head_tail, windows

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from headstart.contract import Floats

TEXT_NAMES = ("text", "sentence", "review", "content", "comment", "comment_text", "tweet", "message", "body",
              "document", "query", "utterance", "question", "title", "description")
LABEL_NAMES = ("label", "labels", "category", "class", "intent", "sentiment", "target", "topic", "stars", "rating")


@dataclass(frozen=True)
class Settings:
    """What text classification can be told."""

    long_texts: Annotated[
        Literal["truncate", "head-tail", "windows"],
        Note("a text longer than the model input is cut, keeps its head and tail, or is read in windows")] = "truncate"
    overlap: Annotated[int, Note("tokens that neighbouring windows share", low=0)] = 32


@dataclass(frozen=True)
class LabelledText(Example):
    """A text (and its pair), and its label as the user wrote it; None when predicting."""

    text: str
    label: str | None = None
    pair: str | None = None


@dataclass(frozen=True)
class TextClassification(Task[LabelledText]):
    """Which of C labels a text has."""

    name: ClassVar[str] = "text-classification"
    summary: ClassVar[str] = "one label for each text: sentiment, topic, intent"
    fields: ClassVar[tuple[Field, ...]] = (
        Field("text", "the text to classify", usual=TEXT_NAMES),
        Field("pair", "a second text that belongs to it", required=False, usual=("pair",)),
        Field("label", "its label, as written", type="label", target=True, usual=LABEL_NAMES),
    )
    kinds: ClassVar[tuple[Kind, ...]] = ("encoder",)
    best: ClassVar[tuple[str, bool]] = ("macro_f1", True)
    default_model: ClassVar[str] = "distilbert-base-cased"
    Settings: ClassVar[type] = Settings

    @classmethod
    def detect(cls, columns: Sequence[Column]) -> Detection | None:
        """A text column and a label column, by their names, else by their values."""
        label = named(columns, LABEL_NAMES) or only_label(columns)
        rest = [column for column in columns if column is not label]
        text = named(rest, TEXT_NAMES) or longest_text(rest)
        if text is None or label is None or not few_labels(label):
            return None
        by_name = (text.name.lower() in TEXT_NAMES) + (label.name.lower() in LABEL_NAMES)
        reason = f"{text.name!r} holds texts and {label.name!r} labels that recur"
        return Detection({"text": text.name, "label": label.name}, (0.5, 0.8, 0.95)[by_name], reason)

    def read(self, row: Row) -> LabelledText:
        """The text and the label of a row; raises RowFault for an empty text."""
        text, pair = plain(row, "text"), plain(row, "pair")
        if text is None or not text.strip():
            raise RowFault("E201", "the text is empty.", fix="Fill it in, or leave the row out (--bad-rows skip).",
                           field="text")
        label = plain(row, "label")
        return LabelledText(row.id, text, label if label is not None and label.strip() else None, pair)

    def subject(self, example: LabelledText) -> str:
        """The text, with its pair."""
        return example.text if example.pair is None else f"{example.text}\n{example.pair}"

    def stratum(self, example: LabelledText) -> str | None:
        """The label."""
        return example.label

    def learn(self, examples: Iterable[LabelledText]) -> Learned:
        """The labels of the training rows in order (numbers by value), and how often each stands there."""
        counts = Counter(example.label for example in examples if example.label is not None)
        labels = sorted(counts, key=by_value)
        return Learned(tuple(labels), tuple(counts[label] for label in labels))

    @classmethod
    def adopt(cls, config: Mapping[str, Json]) -> Learned | None:
        """The labels in `id2label` of a published sequence classifier of two labels or more."""
        architecture = (config.get("architectures") or [""])[0]
        names = config.get("id2label") or {}
        several = config.get("problem_type") in ("multi_label_classification", "regression")
        if not architecture.endswith("ForSequenceClassification") or several or len(names) < 2:
            return None
        return Learned(tuple(str(names[key]) for key in sorted(names, key=int)))

    def encode(self, example: LabelledText, tokenizer: Tokenizer, draw: Random | None = None) -> list[Feature]:
        """One feature, or one for each window of a long text."""
        targets = {}
        if example.label is not None and self.known.labels:
            index = class_of(self.known.labels).get(example.label, -100)
            targets = {"label": Target(index)}
        first = tokenizer.tokenize(example.text).ids
        second = tokenizer.tokenize(example.pair).ids if example.pair is not None else None
        parts, cut = self.fit(first, second, tokenizer.room(1 if second is None else 2))
        features = []
        for pieces in parts:
            ids, types = tokenizer.lay_out(*pieces)
            features.append(Feature(ids, types, targets, weight=1 / len(parts), cut=cut))
        return features

    def fit(self, first: Sequence[int], second: Sequence[int] | None, room: int) -> tuple[list[list[Sequence[int]]], int]:
        """The texts cut into parts that fit, and how many tokens no part holds. A pair is always truncated,
        the longer text first."""
        if second is not None:
            kept = [len(first), len(second)]
            cut = max(0, sum(kept) - room)
            for _ in range(cut):
                kept[kept[0] < kept[1]] -= 1
            return [[first[:kept[0]], second[:kept[1]]]], cut
        if len(first) <= room:
            return [[first]], 0
        if self.settings.long_texts == "windows":
            overlap = min(self.settings.overlap, room - 1)
            return [[first[begin:end]] for begin, end in windows(len(first), room, overlap)], 0
        if self.settings.long_texts == "head-tail":
            pieces = head_tail(len(first), room)
            return [[[token for begin, end in pieces for token in first[begin:end]]]], len(first) - room
        return [[first[:room]]], len(first) - room

    def head(self) -> HeadSpec:
        """One logit for each label."""
        return HeadSpec("sequence-classification", len(self.known.labels), self.known.labels)

    def reduce(self, feature: Feature, output: Mapping[str, NDArray[Any]]) -> NDArray[np.float64]:
        """The logits, (C,)."""
        return output["logits"].astype("float64")

    def decode(self, example: LabelledText, pieces: Sequence[NDArray[np.float64]]) -> Prediction:
        """The label with the highest probability; the logits of windows are averaged first."""
        import numpy as np

        logits = pieces[0] if len(pieces) == 1 else np.mean(pieces, axis=0)
        powers = np.exp(logits - logits.max())
        return as_prediction(example.row, self.known.labels, powers / powers.sum())

    def measure(self, example: LabelledText, prediction: Prediction) -> Mapping[str, Any]:
        """gold and predicted class, and the probabilities (C,); a label unseen in training is class C."""
        classes = class_of(self.known.labels)
        assert example.label is not None
        return {
            "gold": classes.get(example.label, len(classes)),
            "predicted": classes[prediction.values["prediction"]],
            "probabilities": list(prediction.values["probabilities"].values()),
        }

    def score(self, measures: Measures, weights: Floats) -> dict[str, NDArray[Any]]:
        """The scores of headstart.metrics.classification."""
        from headstart.metrics.classification import scores

        return scores(measures["gold"], measures["predicted"], measures["probabilities"], weights)

    def describe(self, name: str, measures: Measures) -> tuple[str, bool, str]:
        """Definition, direction and reason of a score."""
        from headstart.metrics.classification import DEFINITIONS, HIGHER_IS_BETTER, undefined_reason

        reason = undefined_reason(name, measures["gold"], measures["predicted"], len(self.known.labels))
        return DEFINITIONS[name], HIGHER_IS_BETTER[name], reason

    def warn(self, measures: Measures) -> str | None:
        """Whether the model answers one label whatever the text."""
        import numpy as np

        answered, gold = np.unique(measures["predicted"]), np.unique(measures["gold"])
        if len(answered) > 1 or len(gold) < 2:
            return None
        label = self.known.labels[int(answered[0])]
        return (f"collapsed: the model answers {label!r} for every text. If this lasts, lower the learning rate, or "
                f"set training.class_weights=balanced.")

    def tables(self, measures: Measures) -> dict[str, Json]:
        """confusion (gold rows, predicted columns) and per_class."""
        from headstart.metrics.classification import confusion, per_class

        gold, predicted, labels = measures["gold"], measures["predicted"], self.known.labels
        counts = per_class(gold, predicted, len(labels))
        rows = confusion(gold, predicted, len(labels)).tolist()
        return {
            "labels": [*labels, *["(unseen in training)"] * (len(rows) - len(labels))],
            "confusion": rows,
            "per_class": {label: {name: counts[name][index].item() for name in counts}
                          for index, label in enumerate(labels)},
        }

    def figures(self, examples: Sequence[LabelledText], predictions: Sequence[Prediction],
                measures: Measures) -> list[Figure]:
        """Per-class table, confusion matrix, reliability diagram, confident errors."""
        from headstart.tasks._classification_figures import figures

        texts = [self.subject(example) for example in examples]
        gold = [example.label or "" for example in examples]
        return figures(texts, gold, predictions, measures, self.tables(measures))

    def baselines(self) -> tuple[Baseline, ...]:
        """Majority class, TF-IDF + logistic regression, frozen encoder + logistic regression."""
        return baselines(self.known.labels, self.subject)


def plain(row: Row, field: str) -> str | None:
    """The field as text, as the user wrote it; None where there is none."""
    value = row.values.get(field)
    return value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def by_value(label: str) -> tuple[int, float, str]:
    """Numbers in the order of their values, then texts."""
    try:
        return 0, float(label), label
    except ValueError:
        return 1, 0.0, label
