"""Multiple choice: which of several continuations or answers fits a context; their number may differ from row to row.

M examples, R resamples.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

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
from headstart.tasks.shared.column_detection import named
from headstart.tasks.shared.text_pairs import plain, truncated

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from headstart.contract import Floats

CONTEXTS = ("context", "sent1", "ctx", "passage", "question", "premise")
ANSWERS = ("answer", "label", "correct", "gold")
MOST = 26  # letters that can name a choice


@dataclass(frozen=True)
class Settings:
    """What multiple choice can be told."""

    words_share: Annotated[float, Note("share of the loss that learns the right choice's own words (GPT and GPT-2, which write too); "
                                       "0.5 in the paper", low=0.0, high=10.0)] = 0.0


@dataclass(frozen=True)
class Choices(Example):
    """A context, what could follow it, and which does (from 0); None when predicting."""

    context: str
    choices: tuple[str, ...]
    start: str = ""
    answer: int | None = None


@dataclass(frozen=True)
class MultipleChoice(Task[Choices]):
    """Which of several choices fits a context."""

    name: ClassVar[str] = "multiple-choice"
    summary: ClassVar[str] = "which of several choices fits a context (SWAG)"
    fields: ClassVar[tuple[Field, ...]] = (
        Field("context", "what comes before, or the question", usual=CONTEXTS),
        Field("start", "a beginning that every choice goes on with", required=False, usual=("sent2", "startphrase")),
        Field("choices", "the choices: a list, or several columns joined by a comma", type="list", usual=("choices", "options", "endings")),
        Field("answer", "which one: its number from 0, its letter, or its text", type="label", target=True, usual=ANSWERS),
    )
    kinds: ClassVar[tuple[Kind, ...]] = ("encoder",)
    best: ClassVar[tuple[str, bool]] = ("accuracy", True)
    default_model: ClassVar[str] = "distilbert-base-cased"
    Settings: ClassVar[type] = Settings

    @classmethod
    def detect(cls, columns: Sequence[Column]) -> Detection | None:
        """A column of lists called choices, or columns called ending0, ending1 …"""
        found = {field.name: named(columns, field.usual) for field in cls.fields}
        held = {name: column.name for name, column in found.items() if column is not None}
        if "choices" not in held:
            for stem in ("ending", "choice", "option"):
                many = sorted(column.name for column in columns if column.name.lower().removeprefix(stem).strip("_").isdigit()
                              and column.name.lower().startswith(stem))
                if len(many) > 1:
                    held["choices"] = ",".join(many)
        if "context" not in held or "choices" not in held:
            return None
        return Detection(held, 0.99, f"there are choices ({held['choices']})")

    def read(self, row: Row) -> Choices:
        """Context, choices, answer; raises RowFault."""
        context, start = plain(row, "context"), plain(row, "start")
        if context is None or not context.strip():
            raise RowFault("E201", "the context is empty.", fix="Fill it in, or leave the row out (--bad-rows skip).", field="context")
        given = listed(row.values.get("choices"))
        if not isinstance(given, list):
            raise RowFault("E330", f"the choices are {given!r:.60}, a list of texts was expected.", field="choices",
                           fix='Write them as ["…", "…"], or name several columns: --choices first,second,third.')
        choices = tuple(one if isinstance(one, str) else "" if one is None else str(one) for one in given)
        if len(choices) < 2:
            raise RowFault("E331", f"there is {'one choice' if choices else 'no choice'}, two or more were expected.", field="choices",
                           fix="Add choices, or leave the row out (--bad-rows skip).")
        if any(not one.strip() for one in choices):
            empty = next(place for place, one in enumerate(choices) if not one.strip())
            raise RowFault("E332", f"choice {empty} is empty.", field="choices", fix="Fill it in, or leave it out of the list.")
        return Choices(row.id, context, choices, start or "", answer_of(row.values.get("answer"), choices))

    def subject(self, example: Choices) -> str:
        """All of it."""
        return "\n".join((example.context, example.start, *example.choices))

    def gold(self, example: Choices) -> Json:
        """The number of the right choice."""
        return example.answer

    def learn(self, examples: Iterable[Choices]) -> Learned:
        """Nothing beside the weights."""
        return Learned()

    @classmethod
    def adopt(cls, config: Mapping[str, Json]) -> Learned | None:
        """A published model with a multiple-choice head."""
        return Learned() if (config.get("architectures") or [""])[0].endswith(("ForMultipleChoice", "DoubleHeadsModel")) else None

    def encode(self, example: Choices, tokenizer: Tokenizer, draw: Random | None = None) -> list[Feature]:
        """One feature for each choice; of context and choice the longer is cut."""
        context = tokenizer.tokenize(example.context).ids
        room, made, lost = tokenizer.room(2), [], 0
        for choice in example.choices:
            ending = tokenizer.tokenize(f"{example.start} {choice}".strip()).ids
            kept, cut = truncated(len(context), len(ending), room)
            lost += cut
            made.append(tokenizer.lay_out(context[:kept[0]], ending[:kept[1]]))
        right = example.answer

        def targets(place: int, ids: Sequence[int]) -> dict[str, Target]:
            found = {"label": Target(int(place == right))}
            if self.settings.words_share:  # what follows each token, in the right choice alone
                found["words"] = Target([*ids[1:], -100] if place == right else [-100] * len(ids), "token")
            return found

        return [Feature(ids, types, {} if right is None else targets(place, ids), weight=1 / len(made), cut=lost,
                        group=example.row, role="choice") for place, (ids, types) in enumerate(made)]

    def head(self) -> HeadSpec:
        """One score for each choice, compared with the others of its row."""
        share = self.settings.words_share
        return HeadSpec("multiple-choice", 1, loss="choice+words" if share else "choice", words=share)

    def reduce(self, feature: Feature, output: Mapping[str, NDArray[Any]]) -> float:
        """The choice's score."""
        return float(output["logits"][0])

    def decode(self, example: Choices, pieces: Sequence[float]) -> Prediction:
        """The choice with the highest score, and the shares of all."""
        top = max(pieces)
        powers = [math.exp(score - top) for score in pieces]
        return answered(example, [power / sum(powers) for power in powers])

    def measure(self, example: Choices, prediction: Prediction) -> Mapping[str, Any]:
        """Right or wrong."""
        assert example.answer is not None
        return {"right": float(prediction.values["choice"] == example.answer), "gold": example.answer,
                "surprise": -math.log(max(1e-12, prediction.values["probabilities"][example.answer]))}

    def score(self, measures: Measures, weights: Floats) -> dict[str, NDArray[Any]]:
        """accuracy and log_loss."""
        total = weights.sum(axis=1)
        return {"accuracy": weights @ measures["right"] / total, "log_loss": weights @ measures["surprise"] / total}

    def describe(self, name: str, measures: Measures) -> tuple[str, bool, str]:
        """Definition, direction and reason of a score."""
        words = {"accuracy": "share of rows whose choice is right", "log_loss": "mean of -log(probability of the right choice)"}
        return words[name], name == "accuracy", "there are no rows"

    def figures(self, examples: Sequence[Choices], predictions: Sequence[Prediction], measures: Measures) -> list[Figure]:
        """Accuracy by place of the right choice, and the surest errors."""
        rows = []
        for place in sorted({int(one) for one in measures["gold"]}):
            here = measures["gold"] == place
            rows.append([f"choice {place}", int(here.sum()), float(measures["right"][here].mean())])
        wrong = [at for at in range(len(predictions)) if not measures["right"][at]]
        wrong.sort(key=lambda at: -predictions[at].values["probability"])
        items = [{"text": f"{examples[at].context} {examples[at].start}".strip(), "title": predictions[at].values["prediction"],
                  "fields": {"right": examples[at].choices[examples[at].answer or 0], "probability": predictions[at].values["probability"]}}
                 for at in wrong[:20]]
        return [Figure("by_place", "By place of the right choice", "table", {"columns": ["place", "rows", "accuracy"], "rows": rows}),
                Figure("sure_errors", "Sure and wrong", "texts", {"items": items}, f"{len(wrong):,} rows are answered wrongly.")]

    def baselines(self) -> tuple[Baseline, ...]:
        """A random choice, and the longest one."""
        def random(examples: Sequence[Choices], states: Floats | None, seed: int) -> Rule:
            return Rule(lambda one: Random(f"{seed}:{one.row}").randrange(len(one.choices)))

        def longest(examples: Sequence[Choices], states: Floats | None, seed: int) -> Rule:
            return Rule(lambda one: max(range(len(one.choices)), key=lambda place: len(one.choices[place])))

        return Baseline("random choice", random), Baseline("longest choice", longest)


@dataclass(frozen=True)
class Rule:
    """A rival that learns nothing."""

    choose: Any
    size_bytes: int = 1

    def predict(self, examples: Sequence[Any], states: Floats | None) -> list[Prediction]:
        """One prediction a row."""
        return [answered(one, [float(place == self.choose(one)) for place in range(len(one.choices))]) for one in examples]


def answered(example: Choices, shares: list[float]) -> Prediction:
    """Probabilities of the choices in the user's terms."""
    best = max(range(len(shares)), key=shares.__getitem__)
    values: dict[str, Json] = {"prediction": example.choices[best], "choice": best, "probability": shares[best], "probabilities": shares}
    return Prediction(example.row, values)


def listed(value: Json) -> Json:
    """A JSON list that stands in a text (a cell of a csv), or a tuple, as the list; anything else as it is."""
    if isinstance(value, tuple):
        return list(value)
    if not isinstance(value, str) or value.strip()[:1] != "[":
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value


def answer_of(value: Json, choices: Sequence[str]) -> int | None:
    """Which choice is meant: by its text, its number from 0, or its letter; raises RowFault."""
    if value is None or value == "":
        return None
    text = str(value).strip()
    if list(choices).count(text) == 1:
        return choices.index(text)
    if text.isdecimal() and int(text) < len(choices):
        return int(text)
    if len(text) == 1 and text.isascii() and text.isupper() and ord(text) - ord("A") < min(MOST, len(choices)):
        return ord(text) - ord("A")
    raise RowFault("E333", f"the answer is {text!r:.60}, none of the {len(choices)} choices.", field="answer",
                   fix=f"Give its number from 0 to {len(choices) - 1}, its letter, or its text.")
