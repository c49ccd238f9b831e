"""Regression: one number for each text, or pair of texts (STS-B).

M examples, R resamples.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from random import Random
from typing import TYPE_CHECKING, Any, ClassVar

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
from headstart.tasks.shared.column_detection import distinct_labels, few_labels, longest_text, named, number
from headstart.tasks.shared.text_pairs import FIRST_NAMES, PAIR_NAMES, TEXT_FIELDS, TEXT_NAMES, LongTexts, Texts, features, texts_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from headstart.contract import Floats

COLLAPSED = 1e-3  # predictions that spread less, against the file's numbers, are one number
TARGET_NAMES = ("target", "score", "rating", "similarity", "value", "price", "label", "stars", "gold")


@dataclass(frozen=True)
class ScoredText(Texts):
    """A text (and its pair), and its number; None when predicting."""

    target: float | None = None


@dataclass(frozen=True)
class Regression(Task[ScoredText]):
    """Which number a text has."""

    name: ClassVar[str] = "regression"
    summary: ClassVar[str] = "one number for each text or pair: a rating, a price, a likeness"
    fields: ClassVar[tuple[Field, ...]] = (*TEXT_FIELDS, Field("target", "its number", type="number", target=True, usual=TARGET_NAMES))
    kinds: ClassVar[tuple[Kind, ...]] = ("encoder",)
    best: ClassVar[tuple[str, bool]] = ("spearman", True)
    default_model: ClassVar[str] = "distilbert-base-cased"
    Settings: ClassVar[type] = LongTexts

    @classmethod
    def detect(cls, columns: Sequence[Column]) -> Detection | None:
        """A text column, and a column of numbers that are no labels."""
        numbers = [column for column in columns if is_numbers(column)]
        unnamed = [column for column in numbers if not counts_up(column)]
        target = named(numbers, TARGET_NAMES) or (unnamed[0] if len(unnamed) == 1 else None)
        rest = [column for column in columns if column is not target]
        first, pair = named(rest, FIRST_NAMES), named(rest, PAIR_NAMES)
        text = first if first is not None and pair is not None else named(rest, TEXT_NAMES) or longest_text(rest)
        if target is None or text is None:
            return None
        held = {"text": text.name, "target": target.name} | ({"pair": pair.name} if pair is not None and first is text else {})
        return Detection(held, 0.9 if target.name.lower() in TARGET_NAMES else 0.6,
                         f"{target.name!r} holds numbers; --task text-classification would take them as labels")

    def read(self, row: Row) -> ScoredText:
        """Texts and number of a row; raises RowFault."""
        text, pair = texts_of(row)
        return ScoredText(row.id, text, pair, number_of(row.values.get("target")))

    def subject(self, example: ScoredText) -> str:
        """The text, with its pair."""
        return example.both

    def gold(self, example: ScoredText) -> Json:
        """The number."""
        return example.target

    def learn(self, examples: Iterable[ScoredText]) -> Learned:
        """Mean and standard deviation of the training rows: the model learns numbers around 0."""
        held = [example.target for example in examples if example.target is not None]
        mean = math.fsum(held) / max(1, len(held))
        spread = math.sqrt(math.fsum((one - mean) ** 2 for one in held) / max(1, len(held)))
        return Learned(values={"mean": mean, "scale": spread or 1.0})

    @classmethod
    def adopt(cls, config: Mapping[str, Json]) -> Learned | None:
        """A published sequence classifier with one output."""
        architecture = (config.get("architectures") or [""])[0]
        outputs = len(config.get("id2label") or {}) or config.get("num_labels", 2)
        own = config.get("problem_type") in (None, "regression") and outputs == 1
        return Learned(values={"mean": 0.0, "scale": 1.0}) if architecture.endswith("ForSequenceClassification") and own else None

    def shipped(self) -> tuple[Learned, tuple[float, float] | None]:
        """The scale goes into the model's last layer, so that it answers in the user's numbers."""
        values = self.known.values
        return Learned(values={"mean": 0.0, "scale": 1.0}), (float(values["scale"]), float(values["mean"]))

    def check(self, splits: Mapping[str, Sequence[ScoredText]]) -> list[Finding]:
        """Numbers that are all the same cannot be learned."""
        targets = {example.target for example in splits["train"]}
        if len(targets) > 1 or not len(splits["train"]):
            return []
        return [Finding("E203", f"every training row has the same number, {next(iter(targets))}.", "Is this the right column?")]

    def encode(self, example: ScoredText, tokenizer: Tokenizer, draw: Random | None = None) -> list[Feature]:
        """One feature, or one for each window of a long text."""
        targets = {}
        if example.target is not None:
            targets["label"] = Target((example.target - self.known.values["mean"]) / self.known.values["scale"])
        return features(example, targets, tokenizer, self.settings)

    def head(self) -> HeadSpec:
        """One output."""
        return HeadSpec("sequence-classification", 1, ("LABEL_0",), loss="squared")

    def reduce(self, feature: Feature, output: Mapping[str, NDArray[Any]]) -> float:
        """The output."""
        return float(output["logits"][0])

    def decode(self, example: ScoredText, pieces: Sequence[float]) -> Prediction:
        """The mean of the windows, in the user's numbers."""
        return scored(example, sum(pieces) / len(pieces) * self.known.values["scale"] + self.known.values["mean"])

    def measure(self, example: ScoredText, prediction: Prediction) -> Mapping[str, Any]:
        """Both numbers."""
        return {"gold": example.target, "predicted": prediction.values["prediction"]}

    def score(self, measures: Measures, weights: Floats) -> dict[str, NDArray[Any]]:
        """The scores of headstart.metrics.regression."""
        from headstart.metrics.regression import scores

        return scores(measures["gold"], measures["predicted"], weights)

    def describe(self, name: str, measures: Measures) -> tuple[str, bool, str]:
        """Definition, direction and reason of a score."""
        from headstart.metrics.regression import DEFINITIONS, HIGHER_IS_BETTER, undefined_reason

        return DEFINITIONS[name], HIGHER_IS_BETTER[name], undefined_reason(name, measures["gold"], measures["predicted"])

    def warn(self, measures: Measures) -> str | None:
        """Whether the model answers one number whatever the text."""
        gold, predicted = measures["gold"], measures["predicted"]
        if not len(gold) or predicted.std() > COLLAPSED * gold.std():
            return None
        return (f"collapsed: the model answers about {predicted.mean():.4g} for every text. If this lasts, lower the learning rate "
                "or train longer.")

    def figures(self, examples: Sequence[ScoredText], predictions: Sequence[Prediction], measures: Measures) -> list[Figure]:
        """Predictions against the file's numbers, and the largest errors."""
        import numpy as np

        pairs = [[float(x), float(y)] for x, y in zip(measures["gold"], measures["predicted"], strict=True)]
        far = np.argsort(-np.abs(measures["gold"] - measures["predicted"]), kind="stable")[:20].tolist()
        items = [{"text": examples[at].both[:2000], "title": f"row {examples[at].row}",
                  "fields": {"in the file": pairs[at][0], "prediction": pairs[at][1]}} for at in far]
        data: dict[str, Json] = {"x_title": "number in the file", "y_title": "prediction", "points": pairs, "diagonal": True}
        return [Figure("scatter", "Predictions against the file", "scatter", data),
                Figure("errors", "Largest errors", "texts", {"items": items})]

    def baselines(self) -> tuple[Baseline, ...]:
        """The mean, TF-IDF + ridge regression, frozen encoder + ridge regression."""
        return (Baseline("mean", constant), Baseline("tf-idf + ridge regression", tfidf),
                Baseline("frozen encoder + ridge regression", frozen, needs_states=True))


@dataclass(frozen=True)
class Fitted:
    """A fitted rival."""

    numbers: Any
    size_bytes: int

    def predict(self, examples: Sequence[Any], states: Floats | None) -> list[Prediction]:
        """One prediction an example."""
        return [scored(example, float(one)) for example, one in zip(examples, self.numbers(examples, states), strict=True)]


def golds(examples: Sequence[ScoredText]) -> Any:
    """The numbers of training rows, (M,)."""
    import numpy as np

    return np.asarray([example.target for example in examples], dtype=np.float64)


def constant(examples: Sequence[ScoredText], states: Floats | None, seed: int) -> Fitted:
    """Always the mean of the training rows."""
    mean = float(golds(examples).mean())
    return Fitted(lambda rows, _: [mean] * len(rows), 8)


def tfidf(examples: Sequence[ScoredText], states: Floats | None, seed: int) -> Fitted:
    """TF-IDF + ridge regression."""
    from headstart.baselines.ridge import fit_tfidf

    model = fit_tfidf([example.both for example in examples], golds(examples), seed)
    return Fitted(lambda rows, _: model.numbers([row.both for row in rows]), model.size_bytes)


def frozen(examples: Sequence[ScoredText], states: Floats | None, seed: int) -> Fitted:
    """The untrained encoder's states + ridge regression."""
    from headstart.baselines.ridge import fit_ridge

    model = fit_ridge(states, golds(examples), seed)
    return Fitted(lambda _, held: model.numbers(held), model.size_bytes)


def scored(example: Texts, value: float) -> Prediction:
    """A number as a prediction."""
    return Prediction(example.row, {"prediction": value})


def is_numbers(column: Column) -> bool:
    """Whether a column holds numbers that are no labels: fractions, or whole numbers of many values.

    A column with a target's name may hold some other values among them, which are faults.
    """
    distinct = distinct_labels(column)
    numbers = [value for value in distinct if number(value)]
    enough = 2 * len(numbers) >= len(distinct) if column.name.lower() in TARGET_NAMES else len(numbers) == len(distinct)
    return len(distinct) > 2 and enough and not few_labels(Column(column.name, numbers))


def counts_up(column: Column) -> bool:
    """Whether whole numbers only grow, as those do that number the rows."""
    values = [float(value) for value in column.values if value is not None and number(str(value))]
    return all(value % 1 == 0 for value in values) and all(first < second for first, second in pairwise(values))


def number_of(value: Json) -> float | None:
    """A number as the user wrote it; raises RowFault."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    if not isinstance(value, bool) and isinstance(value, int | float | str) and number(str(value)):
        return float(value)
    point = str(value).strip().replace(",", ".")
    comma = isinstance(value, str) and "," in value and number(point)
    raise RowFault("E305", f"the target is {value!r:.60}, a number was expected.", field="target",
                   fix=f"Write it with a point: {point}." if comma else "Mend it, or leave the row out (--bad-rows skip).")
