"""Text classification: one label for each text (or pair of texts), binary or multiclass.

C classes, M examples, R resamples.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from random import Random
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from headstart.contract import (
    Baseline,
    Column,
    Detection,
    Doubt,
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
from headstart.errors import Exit, UserError
from headstart.settings import Note
from headstart.tasks.shared.classification import baselines, class_of, softmax_prediction
from headstart.tasks.shared.column_detection import few_labels, longest_text, named, only_label
from headstart.tasks.shared.label_lists import labels_of, rarest
from headstart.tasks.shared.text_pairs import FIRST_NAMES, PAIR_NAMES, TEXT_FIELDS, TEXT_NAMES, LongTexts, Texts, features, plain, texts_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from headstart.contract import Floats

LABEL_NAMES = ("label", "gold_label", "labels", "category", "class", "intent", "sentiment", "target", "topic", "stars", "rating")


@dataclass(frozen=True)
class Settings(LongTexts):
    """What text classification can be told."""

    reduce: Annotated[Literal["none", "rarest"], Note(
        "rarest: of several labels (0/1 columns, a list) the one with fewest training rows counts, 'none' where there is none; "
        "none: such rows are faults")] = "none"
    merge: Annotated[str, Note("labels that count as one: 'neutral+contradiction=other; Sports=sports'")] = ""


@dataclass(frozen=True)
class LabelledText(Texts):
    """A text (and its pair), and its label as the user wrote it; None when predicting."""

    label: str | None = None
    several: tuple[str, ...] | None = None  # the labels that `label` was chosen from


@dataclass(frozen=True)
class TextClassification(Task[LabelledText]):
    """Which of C labels a text has."""

    name: ClassVar[str] = "text-classification"
    summary: ClassVar[str] = "one label for each text: sentiment, topic, intent"
    fields: ClassVar[tuple[Field, ...]] = (
        *TEXT_FIELDS,
        Field("label", "its label, as written", type="label", target=True, usual=LABEL_NAMES),
    )
    kinds: ClassVar[tuple[Kind, ...]] = ("encoder",)
    best: ClassVar[tuple[str, bool]] = ("macro_f1", True)
    default_model: ClassVar[str] = "distilbert-base-cased"
    Settings: ClassVar[type] = Settings

    @classmethod
    def detect(cls, columns: Sequence[Column]) -> Detection | None:
        """A text column (or a pair) and a label column, by their names, else by their values."""
        label = named(columns, LABEL_NAMES) or only_label(columns)
        rest = [column for column in columns if column is not label]
        first, pair = named(rest, FIRST_NAMES), named(rest, PAIR_NAMES)
        if first is not None and pair is not None and label is not None and few_labels(label):
            return Detection({"text": first.name, "pair": pair.name, "label": label.name}, 0.95,
                             f"{first.name!r} and {pair.name!r} hold pairs of texts, and {label.name!r} labels that recur")
        text = named(rest, TEXT_NAMES) or longest_text(rest)
        if text is None or label is None or not few_labels(label):
            return None
        by_name = (text.name.lower() in TEXT_NAMES) + (label.name.lower() in LABEL_NAMES)
        reason = f"{text.name!r} holds texts and {label.name!r} labels that recur"
        return Detection({"text": text.name, "label": label.name}, (0.5, 0.8, 0.95)[by_name], reason)

    def read(self, row: Row) -> LabelledText:
        """The text and the label of a row; raises RowFault for an empty text."""
        text, pair = texts_of(row)
        if isinstance(row.values.get("label"), list | Mapping):
            several = labels_of(row.values["label"], field="label")
            return LabelledText(row.id, text, pair, self.chosen(several), several)
        label = plain(row, "label")
        return LabelledText(row.id, text, pair, self.merged(label) if label is not None and label.strip() else None)

    def merged(self, label: str) -> str:
        """The label that this one counts as; a number n is the label LABEL_n of a model whose labels have no names."""
        label = merges(self.settings.merge).get(label, label)
        if self.learned is not None and label not in self.learned.labels and f"LABEL_{label}" in self.learned.labels:
            return f"LABEL_{label}"
        return label

    @property
    def answers(self) -> tuple[str, ...]:
        """The labels that it answers with: those learned, after merging."""
        return tuple(dict.fromkeys(self.merged(label) for label in self.known.labels))

    def chosen(self, several: tuple[str, ...]) -> str:
        """One label of several; before `learn` has counted them, all of them as one, for the split. Raises RowFault."""
        if self.settings.reduce == "rarest":
            return " + ".join(several) or "none" if self.learned is None else rarest(several, self.known.values.get("rows", {}))
        if len(several) != 1:
            raise RowFault("E306", f"the row has {len(several) or 'no'} label{'s' * (len(several) > 1)}, one was expected.", field="label",
                           fix="Use --task multilabel-classification, or --set task.reduce=rarest.")
        return several[0]

    def subject(self, example: LabelledText) -> str:
        """The text, with its pair."""
        return example.both

    def stratum(self, example: LabelledText) -> str | None:
        """The label."""
        return example.label

    def learn(self, examples: Iterable[LabelledText]) -> Learned:
        """The labels of the training rows in order (numbers by value), and how often each stands there."""
        held = Counter((example.label, example.several) for example in examples if example.label is not None)
        rows: Counter[str] = Counter()  # of each label, before several are reduced to one
        for (_, several), times in held.items():
            rows.update(dict.fromkeys(several or (), times))
        counts: Counter[str] = Counter()
        for (label, several), times in held.items():
            counts[rarest(several, rows) if several is not None and self.settings.reduce == "rarest" else str(label)] += times
        labels = sorted(counts, key=by_value)
        return Learned(tuple(labels), tuple(counts[label] for label in labels), {"rows": dict(sorted(rows.items()))} if rows else {})

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
        return features(example, targets, tokenizer, self.settings)

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
        if len(self.answers) < len(self.known.labels):  # a model that was trained before its labels were merged
            owners = np.asarray([self.answers.index(self.merged(label)) for label in self.known.labels])
            logits = np.asarray([np.logaddexp.reduce(logits[owners == owner]) for owner in range(len(self.answers))])
        return softmax_prediction(example.row, self.answers, logits)

    def measure(self, example: LabelledText, prediction: Prediction) -> Mapping[str, Any]:
        """gold and predicted class, and the probabilities (C,); a label unseen in training is class C."""
        classes = class_of(self.answers)
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

        reason = undefined_reason(name, measures["gold"], measures["predicted"], len(self.answers))
        return DEFINITIONS[name], HIGHER_IS_BETTER[name], reason

    def warn(self, measures: Measures) -> str | None:
        """Whether the model answers one label whatever the text."""
        import numpy as np

        answered, gold = np.unique(measures["predicted"]), np.unique(measures["gold"])
        if len(answered) > 1 or len(gold) < 2:
            return None
        label = self.answers[int(answered[0])]
        return (f"collapsed: the model answers {label!r} for every text. If this lasts, lower the learning rate, or "
                f"set training.class_weights=balanced.")

    def tables(self, measures: Measures) -> dict[str, Json]:
        """confusion (gold rows, predicted columns) and per_class."""
        from headstart.metrics.classification import confusion, per_class

        gold, predicted, labels = measures["gold"], measures["predicted"], self.answers
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

        texts = [self.subject(example) for example in examples]
        gold = [example.label or "" for example in examples]
        return figures(texts, gold, predictions, measures, self.tables(measures))

    def doubts(self, examples: Sequence[LabelledText], predictions: Sequence[Prediction], measures: Measures, count: int) -> list[Doubt]:
        """The wrong answers that it was surest of."""
        from headstart.tasks.shared.classification_figures import sure_and_wrong

        gold = [example.label or "" for example in examples]
        return [Doubt(examples[at].row, examples[at].text, examples[at].pair, str(predictions[at].values["prediction"]), gold[at],
                      self.known.labels.index(str(predictions[at].values["prediction"])))
                for at in sure_and_wrong(gold, predictions)[:count] if predictions[at].values["prediction"] in self.known.labels]

    def baselines(self) -> tuple[Baseline, ...]:
        """Majority class, TF-IDF + logistic regression, frozen encoder + logistic regression."""
        return baselines(self.answers, self.subject)


@lru_cache(maxsize=8)
def merges(text: str) -> dict[str, str]:
    """"a+b=c; d=e" as {"a": "c", "b": "c", "d": "e"}; raises UserError (78)."""
    found: dict[str, str] = {}
    for part in filter(str.strip, text.split(";")):
        left, equals, name = part.partition("=")
        if not (equals and left.strip() and name.strip()):
            raise UserError(f"task.merge takes LABEL+LABEL=NAME, parted by ';', but it is {text!r}.",
                            fix="For example --set task.merge='neutral+contradiction=other'", exit=Exit.SETTINGS)
        found |= {label.strip(): name.strip() for label in left.split("+")}
    return found


def by_value(label: str) -> tuple[int, float, str]:
    """Numbers in the order of their values, then texts."""
    try:
        return 0, float(label), label
    except ValueError:
        return 1, 0.0, label
