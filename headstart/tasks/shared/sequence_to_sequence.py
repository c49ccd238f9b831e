"""What all tasks that write a text for a text share: rows, model input, written answers and their scores.

M examples, R resamples.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from headstart.contract import (
    Column,
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
from headstart.errors import Finding
from headstart.settings import Count, Note
from headstart.tasks.shared.column_detection import named
from headstart.text.chunks import chunks

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from headstart.contract import Floats

SOURCES = ("source", "document", "article", "dialogue", "text", "input", "passage")
TARGETS = ("target", "summary", "highlights", "abstract", "translation", "output", "tldr")
AUTO = "auto"
MOST_SHOWN = 20


@dataclass(frozen=True)
class Settings:
    """What writing a text for a text can be told."""

    prefix: Annotated[str, Note("text before each source; auto: what the model's config names for the task, else nothing")] = AUTO
    longest_target: Annotated[Count, Note("tokens of a target that are learned; as many as the model takes when not given", low=4)] = None
    join_target: Annotated[bool, Note("a list in the target is one text in parts, not several right answers")] = False
    long: Annotated[Literal["cut", "chunks", "chunks-again"], Note("predicting for a source that does not fit: leave its end out, "
        "or write for each part of whole sentences and join the texts; chunks-again: write once more for what was joined")] = "cut"
    stem: Annotated[bool, Note("compare stems of words (ROUGE)")] = True


@dataclass(frozen=True)
class Pair(Example):
    """A source and the texts that are right for it, the first of which is learned; None when predicting."""

    source: str
    targets: tuple[str, ...] | None = None


@dataclass(frozen=True)
class SourceTarget(Task[Pair]):
    """A text for a text; each final task has its own name, columns' usual names and first score."""

    fields: ClassVar[tuple[Field, ...]] = (
        Field("source", "the text that is read; a list is joined", usual=SOURCES),
        Field("target", "the text to write; a list holds several that are right", target=True, usual=TARGETS),
    )
    kinds: ClassVar[tuple[Kind, ...]] = ("encoder-decoder",)
    default_model: ClassVar[str] = "t5-small"
    Settings: ClassVar[type] = Settings
    writes: ClassVar[bool] = True

    def read(self, row: Row) -> Pair:
        """Source and targets; raises RowFault."""
        source = joined(row.values.get("source"), " ")
        if not source.strip():
            raise RowFault("E201", "the source is empty.", fix="Fill it in, or leave the row out (--bad-rows skip).", field="source")
        given = listed(row.values.get("target"))
        if given is None or given == "":
            return Pair(row.id, source)
        if isinstance(given, list) and not self.settings.join_target:
            texts = tuple(one for one in (joined(part, " ").strip() for part in given) if one)
        else:
            texts = tuple(one for one in [joined(given, "\n").strip()] if one)
        if not texts:
            raise RowFault("E201", "the target is empty.", fix="Fill it in, or leave the row out (--bad-rows skip).", field="target")
        return Pair(row.id, source, texts)

    def subject(self, example: Pair) -> str:
        """The source."""
        return example.source

    def gold(self, example: Pair) -> Json:
        """The right text, or all of them."""
        return None if example.targets is None else example.targets[0] if len(example.targets) == 1 else list(example.targets)

    def learn(self, examples: Iterable[Pair]) -> Learned:
        """Nothing beside the weights; prefix and lengths are added when the model is known."""
        return Learned(values={"prefix": "" if self.settings.prefix == AUTO else self.settings.prefix})

    @classmethod
    def adopt(cls, config: Mapping[str, Json]) -> Learned | None:
        """A published model that writes a text for a text; its config names what stands before a source."""
        if not (config.get("architectures") or [""])[0].endswith(("ForConditionalGeneration", "MTModel", "EncoderDecoderModel")):
            return None
        return Learned(values={"prefix": prefix_in(config, cls.name)})

    def check(self, splits: Mapping[str, Sequence[Pair]]) -> list[Finding]:
        """Targets that are the source itself."""
        found = []
        for split, examples in splits.items():
            same = [one.row for one in examples if one.targets and one.source.strip() in one.targets]
            if same:
                found.append(Finding("W230", f"in {split}, {len(same):,} targets are their source, word for word (first: row {same[0]}).",
                                     "Nothing is to be written there; leave such rows out unless they are meant."))
        return found

    def encode(self, example: Pair, tokenizer: Tokenizer, draw: Random | None = None) -> list[Feature]:
        """The source, cut at the end where it is too long, and the first target with its end.

        When predicting, with `long`, a feature for each part of a long source.
        """
        prefix, room = str(self.known.values.get("prefix", "")), tokenizer.room(1)
        ids = list(tokenizer.tokenize(prefix + example.source).ids)
        if draw is None and self.settings.long != "cut" and len(ids) > room:
            parts = chunks(example.source, lambda text: len(tokenizer.tokenize(prefix + text).ids), room)
            return [Feature(*tokenizer.lay_out(list(tokenizer.tokenize(prefix + part).ids)[:room])) for part in parts]
        (source, types), cut = tokenizer.lay_out(ids[:room]), max(0, len(ids) - room)
        if example.targets is None:
            return [Feature(source, types, cut=cut)]
        target = list(tokenizer.target.tokenize(example.targets[0]).ids)
        room = tokenizer.target.room(1)
        most = min(self.settings.longest_target or room, room)
        made = tokenizer.target.lay_out(target[:most])[0]
        info = {"target_cut": len(target) - most} if len(target) > most else {}
        return [Feature(source, types, {"label": Target(made, "asked")}, cut=cut, info=info, asks=[0] * len(made))]

    def head(self) -> HeadSpec:
        """A score for each piece of the vocabulary, at each token that is written."""
        return HeadSpec("sequence-to-sequence", 0, loss="vocabulary")

    def reduce(self, feature: Feature, output: Mapping[str, NDArray[Any]]) -> Any:
        """Not asked: a piece is what was written."""
        raise AssertionError("a task that writes keeps texts")

    def decode(self, example: Pair, pieces: Sequence[dict[str, Any]]) -> Prediction:
        """The text; those of a long source's parts one after the other."""
        ended = next((piece["ended"] for piece in pieces if piece["ended"] != "end"), "end")
        text, cut = " ".join(piece["text"] for piece in pieces if piece["text"]), sum(piece["cut"] for piece in pieces)
        return Prediction(example.row, {"prediction": text, "log_probability": sum(piece["log_probability"] for piece in pieces)},
                          {"ended": ended, "cut": cut, "tokens": sum(piece["tokens"] for piece in pieces)})

    def again(self, example: Pair, pieces: Sequence[dict[str, Any]]) -> Pair | None:
        """The texts of a long source's parts as a source, where that is asked for."""
        together = " ".join(piece["text"] for piece in pieces if piece["text"])
        return Pair(example.row, together) if self.settings.long == "chunks-again" and len(pieces) > 1 and together else None

    def measure(self, example: Pair, prediction: Prediction) -> Mapping[str, Any]:
        """Everything that any of these tasks' scores is made of."""
        from headstart.metrics import writing
        from headstart.metrics.rouge import rouge

        text, golds = str(prediction.values["prediction"]), list(example.targets or ())
        about = writing.measures(text, example.source)
        return rouge(text, golds, stem=self.settings.stem) | about | {
            "exact_match": float(text.strip() in golds), "ended": float(prediction.detail.get("ended", "end") == "end")}

    def score(self, measures: Measures, weights: Floats) -> dict[str, NDArray[Any]]:
        """The task's own scores first, then what a reader wants to know of the texts."""
        from headstart.metrics import rouge, writing
        from headstart.metrics.means import known_mean

        found = self.own_scores(measures, weights) | rouge.scores(measures, weights)
        found["exact_match"] = known_mean(measures["exact_match"], weights)
        about = writing.scores(measures, weights)
        first = self.best[0]
        return {first: found[first], **found, **{name: about[name] for name in ABOUT}, "ended": known_mean(measures["ended"], weights)}

    def own_scores(self, measures: Measures, weights: Floats) -> dict[str, NDArray[Any]]:
        """Scores that only this task has."""
        return {}

    def describe(self, name: str, measures: Measures) -> tuple[str, bool, str]:
        """Definition, direction and reason of a score."""
        from headstart.metrics import rouge, writing

        if name in rouge.DEFINITIONS:
            return rouge.definition(name, stem=self.settings.stem), True, "no row has a right text"
        if name == "exact_match":
            return "share of texts that are one of the right ones, letter by letter", True, "there are no rows"
        if name == "ended":
            return "share of texts that end by themselves within generation.new_tokens", True, "there are no rows"
        return writing.DEFINITIONS[name], name == "length_ratio", "no text has any"

    def warn(self, measures: Measures) -> str | None:
        """Whether nothing is written."""
        if measures["distinct_1"].size and (measures["distinct_1"] != measures["distinct_1"]).all():  # NaN: no words at all
            return "collapsed: the model writes nothing. If this lasts, train longer or lower the learning rate."
        return None

    def figures(self, examples: Sequence[Pair], predictions: Sequence[Prediction], measures: Measures) -> list[Figure]:
        """The texts with the lowest and the highest ROUGE-L, beside what they were written for."""
        import numpy as np

        order = np.argsort(np.nan_to_num(measures["rougeL"]), kind="stable").tolist()

        def shown(places: Sequence[int]) -> list[Json]:
            return [{"text": examples[at].source[:2000], "title": f"row {examples[at].row}",
                     "fields": {"written": predictions[at].values["prediction"], "in the file": " | ".join(examples[at].targets or ()),
                                "ROUGE-L": float(measures["rougeL"][at])}} for at in places]

        return [Figure("worst_texts", "Least like the right text", "texts", {"items": shown(order[:MOST_SHOWN])}),
                Figure("best_texts", "Most like the right text", "texts", {"items": shown(order[::-1][:MOST_SHOWN])})]


ABOUT = ("length_ratio", "novel_2", "copied", "unsupported_numbers", "unsupported_names", "repetition")


def listed(value: Json) -> Json:
    """A JSON list that stands in a text (a cell of a csv) as the list; anything else as it is."""
    if isinstance(value, tuple):
        return list(value)
    if isinstance(value, str) and value.lstrip()[:1] == "[" and value.rstrip()[-1:] == "]":
        try:
            found = json.loads(value)
        except ValueError:
            return value
        return found if isinstance(found, list) and all(isinstance(one, str) for one in found) else value
    return value


def joined(value: Json, between: str) -> str:
    """A text, or a list of texts as one."""
    held = listed(value)
    if isinstance(held, list):
        return between.join("" if one is None else str(one) for one in held)
    return "" if held is None else held if isinstance(held, str) else json.dumps(held, ensure_ascii=False)


def prefix_in(config: Mapping[str, Json], task: str) -> str:
    """What a config says stands before a source of this task."""
    found = (config.get("task_specific_params") or {}).get(task) or {}
    return str(found.get("prefix") or config.get("prefix") or "")


def columns_of(columns: Sequence[Column], sources: Sequence[str], targets: Sequence[str]) -> dict[str, str] | None:
    """Columns with these names, if both are there."""
    source, target = named(columns, tuple(sources)), named(columns, tuple(targets))
    return None if source is None or target is None or source.name == target.name else {"source": source.name, "target": target.name}
