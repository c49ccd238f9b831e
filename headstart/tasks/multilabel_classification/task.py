"""Multilabel classification: any number of labels for each text, also none.

C labels, M examples, R resamples.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

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
from headstart.errors import Finding
from headstart.settings import Note
from headstart.tasks.multilabel_classification.predictions import as_prediction, baselines, figures
from headstart.tasks.shared import label_lists
from headstart.tasks.shared.column_detection import longest_text, named
from headstart.tasks.shared.label_lists import labels_of
from headstart.tasks.shared.text_pairs import TEXT_FIELDS, TEXT_NAMES, LongTexts, Texts, features, texts_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from headstart.contract import Floats

LIST_NAMES = ("labels", "tags", "categories", "topics", "genres", "classes")
MARKS: tuple[set[str], ...] = ({"0", "1"}, {"0.0", "1.0"}, {"False", "True"}, {"false", "true"})
ONE_NAMES = ("label", "class", "category", "target", "sentiment", "intent", "topic")  # so a column of single labels is called


@dataclass(frozen=True)
class Settings(LongTexts):
    """What multilabel classification can be told."""

    delimiter: Annotated[str, Note("what parts the labels of a text; when empty the first of ; | , that it holds")] = ""
    tune: Annotated[bool, Note("tune a threshold for each label on dev; 0.5 otherwise")] = True


@dataclass(frozen=True)
class LabelledText(Texts):
    """A text (and its pair), and its labels; None when predicting."""

    labels: tuple[str, ...] | None = None


@dataclass(frozen=True)
class MultilabelClassification(Task[LabelledText]):
    """Which of C labels a text has."""

    name: ClassVar[str] = "multilabel-classification"
    summary: ClassVar[str] = "any number of labels for each text, also none"
    fields: ClassVar[tuple[Field, ...]] = (
        *TEXT_FIELDS, Field("labels", "its labels: a list, a delimited text, or 0/1 columns joined by a comma", type="list", target=True,
                            usual=LIST_NAMES, empty=True))
    kinds: ClassVar[tuple[Kind, ...]] = ("encoder",)
    best: ClassVar[tuple[str, bool]] = ("macro_f1", True)
    default_model: ClassVar[str] = "distilbert-base-cased"
    Settings: ClassVar[type] = Settings

    @classmethod
    def detect(cls, columns: Sequence[Column]) -> Detection | None:
        """A column of lists or delimited labels, or several columns of 0 and 1, beside a text."""
        held = {column.name: {str(value).strip() for value in column.values if value is not None} - {"", "-1"} for column in columns}
        marks = [column for column in columns if held[column.name] and any(held[column.name] <= pair for pair in MARKS)]
        marks = marks if any(len(held[column.name]) == 2 for column in marks) else []
        lists = [column for column in columns if any(isinstance(value, list) for value in column.values)]
        listed = named([*lists, *(column for column in columns if column not in lists and parted(column))], LIST_NAMES)
        listed = listed or named(lists, ONE_NAMES)
        rest = [column for column in columns if column is not listed and column not in marks]
        text = named(rest, TEXT_NAMES) or longest_text(rest)
        if text is None or (listed is None and len(marks) < 2):
            return None
        labels = listed.name if listed is not None else ",".join(column.name for column in marks)
        why = f"{labels!r} holds lists of labels" if listed is not None else f"{len(marks)} columns hold only 0 and 1"
        single = listed is None and named(columns, ONE_NAMES) is not None  # then the other columns are likely no labels
        return Detection({"text": text.name, "labels": labels}, 0.7 if single else 0.97, why)

    def read(self, row: Row) -> LabelledText:
        """Texts and labels of a row; raises RowFault."""
        text, pair = texts_of(row)
        labels = None if "labels" not in row.values else labels_of(row.values["labels"], self.settings.delimiter)
        return LabelledText(row.id, text, pair, labels)

    def subject(self, example: LabelledText) -> str:
        """The text, with its pair."""
        return example.both

    def gold(self, example: LabelledText) -> Json:
        """The labels."""
        return None if example.labels is None else list(example.labels)

    def learn(self, examples: Iterable[LabelledText]) -> Learned:
        """The labels of the training rows, and how often each stands there."""
        counts = Counter(label for example in examples for label in example.labels or ())
        labels = tuple(sorted(counts))
        return Learned(labels, tuple(counts[label] for label in labels), {"thresholds": [0.5] * len(labels)})

    @classmethod
    def adopt(cls, config: Mapping[str, Json]) -> Learned | None:
        """A published multilabel classifier."""
        architecture, names = (config.get("architectures") or [""])[0], config.get("id2label") or {}
        own = config.get("problem_type") == "multi_label_classification" and architecture.endswith("ForSequenceClassification")
        if not own or not names:
            return None
        labels = tuple(str(names[key]) for key in sorted(names, key=int))
        return Learned(labels, values={"thresholds": [0.5] * len(labels)})

    def check(self, splits: Mapping[str, Sequence[LabelledText]]) -> list[Finding]:
        """No label at all, the same labels everywhere, rare labels, labels that training never shows."""
        return label_lists.check({split: [one.labels or () for one in held] for split, held in splits.items()})

    def encode(self, example: LabelledText, tokenizer: Tokenizer, draw: Random | None = None) -> list[Feature]:
        """One feature, or one for each window of a long text."""
        targets = {}
        if example.labels is not None:
            targets["label"] = Target([float(label in example.labels) for label in self.known.labels])
        return features(example, targets, tokenizer, self.settings)

    def head(self) -> HeadSpec:
        """One logit for each label, each by itself."""
        return HeadSpec("sequence-classification", len(self.known.labels), self.known.labels, loss="binary")

    def reduce(self, feature: Feature, output: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
        """The logits, (C,)."""
        return output["logits"].astype("float64")

    def decode(self, example: LabelledText, pieces: Sequence[NDArray[Any]]) -> Prediction:
        """The labels whose probability reaches their threshold; the logits of windows are averaged first."""
        import numpy as np

        shares = 1 / (1 + np.exp(-np.clip(np.mean(pieces, axis=0), -700, 700)))
        return as_prediction(example.row, self.known.labels, shares.tolist(), self.known.values["thresholds"])

    def calibrate(self, examples: Sequence[LabelledText], predictions: Sequence[Prediction]) -> Learned:
        """The threshold of each label that gives its best F1 on dev."""
        import numpy as np

        from headstart.metrics.multilabel import best_threshold

        if not self.settings.tune or not len(examples):
            return self.known
        held = [self.measure(example, one) for example, one in zip(examples, predictions, strict=True)]
        gold, shares = (np.asarray([one[name] for one in held]) for name in ("gold", "probabilities"))
        found = [best_threshold(gold[:, place], shares[:, place]) for place in range(len(self.known.labels))]
        return Learned(self.known.labels, self.known.counts, dict(self.known.values) | {"thresholds": found})

    def measure(self, example: LabelledText, prediction: Prediction) -> Mapping[str, Any]:
        """gold and given labels (C,), probabilities (C,), and gold labels that training never showed."""
        labels, held = self.known.labels, example.labels or ()
        return {"gold": [label in held for label in labels], "given": [label in prediction.values["prediction"] for label in labels],
                "probabilities": list(prediction.values["probabilities"].values()), "unseen": len(set(held) - set(labels))}

    def score(self, measures: Measures, weights: Floats) -> dict[str, NDArray[Any]]:
        """The scores of headstart.metrics.multilabel."""
        from headstart.metrics.multilabel import scores

        return scores(measures["gold"], measures["given"], measures["probabilities"], measures["unseen"] > 0, weights)

    def describe(self, name: str, measures: Measures) -> tuple[str, bool, str]:
        """Definition, direction and reason of a score."""
        from headstart.metrics.multilabel import DEFINITIONS, undefined_reason

        note = "; thresholds were tuned on dev" if "at each label's" in DEFINITIONS[name] and self.settings.tune else ""
        return DEFINITIONS[name] + note, True, undefined_reason(name, measures["gold"])

    def warn(self, measures: Measures) -> str | None:
        """Whether the model gives no label to any text."""
        if measures["given"].any() or not measures["gold"].any():
            return None
        return ("collapsed: the model gives no label to any text at threshold 0.5. Thresholds are tuned at the end; if this lasts, "
                "train longer.")

    def tables(self, measures: Measures) -> dict[str, Json]:
        """per_label."""
        from headstart.metrics.multilabel import per_label

        held = per_label(measures["gold"], measures["given"])
        held["f1_at_half"] = per_label(measures["gold"], measures["probabilities"] >= 0.5)["f1"]
        return {"per_label": {label: {name: values[place].item() for name, values in held.items()}
                              | {"threshold": self.known.values["thresholds"][place]} for place, label in enumerate(self.known.labels)},
                "unseen_labels": int(measures["unseen"].sum())}

    def figures(self, examples: Sequence[LabelledText], predictions: Sequence[Prediction], measures: Measures) -> list[Figure]:
        """Per-label table, what the thresholds bring, and the texts with most wrong labels."""
        return figures(examples, predictions, self.tables(measures))

    def baselines(self) -> tuple[Baseline, ...]:
        """Label shares, TF-IDF + logistic regression, frozen encoder + logistic regression, each label by itself."""
        return baselines(self.known.labels, self.settings.tune)


def parted(column: Column) -> bool:
    """Whether texts hold several labels, parted by ; | or a comma."""
    texts = [str(value) for value in column.values if value]
    return any(mark in text or text[0] == "[" for text in texts for mark in ";|,") and all(len(text) < 300 for text in texts)
