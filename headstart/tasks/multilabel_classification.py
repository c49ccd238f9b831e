"""Multilabel classification: any number of labels for each text, also none.

C labels, M examples, R resamples.
"""

from __future__ import annotations

import json
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
    RowFault,
    Target,
    Task,
    Tokenizer,
)
from headstart.errors import Finding
from headstart.settings import Note
from headstart.tasks._columns import longest_text, named
from headstart.tasks._labels import as_prediction, baselines
from headstart.tasks._texts import TEXT_FIELDS, TEXT_NAMES, LongTexts, Texts, features, texts_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from headstart.contract import Floats

LIST_NAMES = ("labels", "tags", "categories", "topics", "genres", "classes")
RARE = 5


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
        held = {column.name: {str(value).strip() for value in column.values if value is not None} for column in columns}
        marks = [column for column in columns if held[column.name] and held[column.name] <= {"0", "1"}]
        marks = marks if any(len(held[column.name]) == 2 for column in marks) else []
        listed = named([column for column in columns if any(isinstance(value, list) for value in column.values)
                        or (column.name.lower() in LIST_NAMES and parted(column))], LIST_NAMES)
        rest = [column for column in columns if column is not listed and column not in marks]
        text = named(rest, TEXT_NAMES) or longest_text(rest)
        if text is None or (listed is None and len(marks) < 2):
            return None
        labels = listed.name if listed is not None else ",".join(column.name for column in marks)
        why = f"{labels!r} holds lists of labels" if listed is not None else f"{len(marks)} columns hold only 0 and 1"
        return Detection({"text": text.name, "labels": labels}, 0.97, why)

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
        if config.get("problem_type") != "multi_label_classification":
            return None
        names = config.get("id2label") or {}
        labels = tuple(str(names[key]) for key in sorted(names, key=int))
        return Learned(labels, values={"thresholds": [0.5] * len(labels)})

    def check(self, splits: Mapping[str, Sequence[LabelledText]]) -> list[Finding]:
        """No label at all, rare labels, labels that training never shows."""
        counts = {split: Counter(label for one in held for label in one.labels or ()) for split, held in splits.items()}
        train = counts["train"]
        if not train and len(splits["train"]):
            return [Finding("E203", "no training row has a label.", "Is this the right column?")]
        found = [Finding("W206", f"the label {label!r} has {count} training rows.", "Its scores will be luck; add rows if you can.")
                 for label, count in sorted(train.items()) if count < RARE]
        for split, held in counts.items():
            found += [Finding("W207", f"the label {label!r} stands in {split} but never in train.",
                              "The model cannot answer it, and each such row lacks one.") for label in sorted(set(held) - set(train))]
        return found

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

        return scores(measures["gold"], measures["given"], measures["probabilities"], weights)

    def describe(self, name: str, measures: Measures) -> tuple[str, bool, str]:
        """Definition, direction and reason of a score."""
        from headstart.metrics.multilabel import DEFINITIONS

        note = "; thresholds were tuned on dev" if "at each label's" in DEFINITIONS[name] and self.settings.tune else ""
        return DEFINITIONS[name] + note, True, "no row has a label that was seen in training"

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
        return {"per_label": {label: {name: values[place].item() for name, values in held.items()}
                              | {"threshold": self.known.values["thresholds"][place]} for place, label in enumerate(self.known.labels)},
                "unseen_labels": int(measures["unseen"].sum())}

    def figures(self, examples: Sequence[LabelledText], predictions: Sequence[Prediction], measures: Measures) -> list[Figure]:
        """Per-label table, and the texts with most wrong labels."""
        rows = [[label, held["support"], held["predicted"], held["precision"], held["recall"], held["f1"], held["threshold"]]
                for label, held in self.tables(measures)["per_label"].items()]
        columns = ["label", "rows", "predicted", "precision", "recall", "F1", "threshold"]
        wrong = (measures["gold"] != measures["given"]).sum(axis=1)
        order = sorted((at for at in range(len(wrong)) if wrong[at]), key=lambda at: -int(wrong[at]))[:20]
        items = [{"text": examples[at].both[:2000], "title": f"row {examples[at].row}",
                  "fields": {"in the file": ", ".join(examples[at].labels or ()) or "(none)",
                             "prediction": ", ".join(predictions[at].values["prediction"]) or "(none)"}} for at in order]
        return [Figure("per_label", "Each label", "table", {"columns": columns, "rows": rows}, "Thresholds were tuned on dev."),
                Figure("errors", "Most wrong labels", "texts", {"items": items})]

    def baselines(self) -> tuple[Baseline, ...]:
        """Label shares, TF-IDF + logistic regression, frozen encoder + logistic regression, each label by itself."""
        return baselines(self.known.labels)


def parted(column: Column) -> bool:
    """Whether texts hold several labels, parted by ; | or a comma."""
    texts = [str(value) for value in column.values if value]
    return any(mark in text for text in texts for mark in ";|,") and all(len(text) < 300 for text in texts)


def labels_of(value: Json, delimiter: str) -> tuple[str, ...]:
    """Labels from a list, a JSON list as text, or a delimited text; empty for none. Raises RowFault."""
    if value is None:
        return ()
    if isinstance(value, str) and value.strip()[:1] == "[":
        try:
            value = json.loads(value)
        except ValueError:
            raise RowFault("E306", f"the labels {value!r:.60} begin like a list and are none.", field="labels",
                           fix='Write ["a", "b"], or a;b.') from None
    if isinstance(value, str):
        mark = delimiter or next((one for one in ";|," if one in value), "")
        value = value.split(mark) if mark else [value]
    if not isinstance(value, list) or any(isinstance(one, list | dict) or one is None for one in value):
        raise RowFault("E306", f"the labels are {value!r:.60}, a list of labels was expected.", field="labels",
                       fix='Write ["a", "b"], or a;b, or name 0/1 columns: --labels first,second.')
    return tuple(dict.fromkeys(text for one in value if (text := (one if isinstance(one, str) else json.dumps(one)).strip())))
