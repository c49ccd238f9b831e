"""Token tagging: names and other entities in a text, as tags of words and as spans of characters.

L tokens of a feature, W words, C tags, M examples, R resamples.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

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
from headstart.tasks import _tagged
from headstart.tasks._columns import named
from headstart.tasks._tagged import Tagged
from headstart.text.alignment import tokens_of_words
from headstart.text.tags import Entity, as_bio, entities
from headstart.text.windows import windows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from headstart.contract import Floats

TOKENS, TAGS = ("tokens", "words"), ("tags", "ner_tags", "ner", "labels", "pos_tags")
SPANS = ("spans", "entities", "annotations")
NONE = -100


@dataclass(frozen=True)
class Settings:
    """What token tagging can be told."""

    labelled: Annotated[Literal["first", "all"], Note("which pieces of a word learn its tag")] = "first"
    overlap: Annotated[int, Note("tokens that neighbouring windows of a long text share", low=0)] = 32


@dataclass(frozen=True)
class TokenTagging(Task[Tagged]):
    """Which words of a text are an entity, and of which type."""

    name: ClassVar[str] = "token-tagging"
    summary: ClassVar[str] = "names and other entities in a text (CoNLL columns, or character spans)"
    fields: ClassVar[tuple[Field, ...]] = (
        Field("tokens", "the words, a list", type="list", required=False, usual=TOKENS),
        Field("tags", "a tag for each word (BIO, IOB1, BIOES), a list", type="list", required=False, target=True, usual=TAGS),
        Field("text", "the text, instead of tokens", required=False, usual=("text",)),
        Field("spans", 'its entities, [{"start", "end", "type"}]', type="list", required=False, target=True, usual=SPANS),
    )
    kinds: ClassVar[tuple[Kind, ...]] = ("encoder",)
    best: ClassVar[tuple[str, bool]] = ("f1", True)
    default_model: ClassVar[str] = "distilbert-base-cased"
    Settings: ClassVar[type] = Settings

    @classmethod
    def detect(cls, columns: Sequence[Column]) -> Detection | None:
        """Columns of tokens and tags, or a text with spans."""
        found = {field.name: named(columns, field.usual) for field in cls.fields}
        for first, second in (("tokens", "tags"), ("text", "spans")):
            one, two = found[first], found[second]
            if one is not None and two is not None:
                return Detection({first: one.name, second: two.name}, 0.98, f"there are {one.name!r} and {two.name!r}")
        return None

    def read(self, row: Row) -> Tagged:
        """Words with their entities; raises RowFault."""
        return _tagged.read(row)

    def subject(self, example: Tagged) -> str:
        """The text."""
        return example.text

    def gold(self, example: Tagged) -> Json:
        """Tags, or spans."""
        if example.found is None:
            return None
        return as_bio(example.found, len(example.places)) if example.from_tokens else [span(example, one, None) for one in example.found]

    def check(self, splits: Mapping[str, Sequence[Tagged]]) -> list[Finding]:
        """Repaired tags, widened spans, types that training never shows."""
        return _tagged.check(splits)

    def cuts(self) -> bool:
        """Long texts are read in windows."""
        return False

    def learn(self, examples: Iterable[Tagged]) -> Learned:
        """The BIO tags of the training rows' types, O first, and how often each stands there."""
        counts = Counter(tag for one in examples if one.found is not None for tag in as_bio(one.found, len(one.places)))
        types = sorted({tag[2:] for tag in counts if tag != "O"})
        labels = ("O", *(f"{mark}-{name}" for name in types for mark in "BI"))
        return Learned(labels, tuple(counts[label] for label in labels))

    @classmethod
    def adopt(cls, config: Mapping[str, Json]) -> Learned | None:
        """A published token classifier with its labels."""
        if not (config.get("architectures") or [""])[0].endswith("ForTokenClassification"):
            return None
        names = config.get("id2label") or {}
        return Learned(tuple(str(names[key]) for key in sorted(names, key=int)))

    def encode(self, example: Tagged, tokenizer: Tokenizer, draw: Random | None = None) -> list[Feature]:
        """Windows of the text; each word is answered by the one window that holds most around it."""
        held = tokenizer.tokenize(example.text)
        owned = [(word, tokens) for word, tokens in enumerate(tokens_of_words(held.offsets or (), example.places)) if tokens]
        room, at = tokenizer.room(1), tokenizer.lay_out([-1])[0].index(-1)
        parts = windows(len(held.ids), room, min(self.settings.overlap, room // 2))
        firsts = [tokens[0] for _, tokens in owned]
        owners = [best_window(parts, first) for first in firsts]
        numbers = {label: place for place, label in enumerate(self.known.labels)}
        tags = as_bio(example.found, len(example.places)) if example.found is not None else None
        made = []
        for window, (begin, end) in enumerate(parts):
            ids, types = tokenizer.lay_out(held.ids[begin:end])
            mine = [(word, tokens) for (word, tokens), owner in zip(owned, owners, strict=True) if owner == window]
            targets = {}
            if tags is not None:
                values = [NONE] * len(ids)
                for word, tokens in mine:
                    for number, token in enumerate(tokens if self.settings.labelled == "all" else tokens[:1]):
                        tag = tags[word] if not number else tags[word].replace("B-", "I-", 1)
                        if token < end:
                            values[token - begin + at] = numbers.get(tag, NONE)
                targets = {"label": Target(values, "token")}
            info = {} if draw is not None else {"words": [(word, tokens[0] - begin + at) for word, tokens in mine]}
            made.append(Feature(ids, types, targets, weight=1 / len(parts), info=info))
        return made

    def head(self) -> HeadSpec:
        """A score for each tag at each token."""
        return HeadSpec("token-classification", len(self.known.labels), self.known.labels)

    def reduce(self, feature: Feature, output: Mapping[str, NDArray[Any]]) -> tuple[list[int], NDArray[Any]]:
        """The words that this window answers, and the log-probabilities of their tags, (W, C)."""
        import numpy as np

        words = feature.info["words"]
        logits = output["logits"][[place for _, place in words]].astype("float64")
        logits -= logits.max(axis=1, keepdims=True, initial=-np.inf)
        return [word for word, _ in words], logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))

    def decode(self, example: Tagged, pieces: Sequence[tuple[list[int], NDArray[Any]]]) -> Prediction:
        """The likeliest tags of all words that make sense together (no I- without its B-), as tags and spans."""
        import numpy as np

        from headstart.tasks._tag_decoding import likeliest

        labels = self.known.labels
        table = np.zeros((len(example.places), len(labels)))
        table[:, 1:] = -1e9  # a word that became no token is no entity
        for words, logs in pieces:
            table[words] = logs
        chosen = likeliest(table, labels)
        sure = np.exp(table[np.arange(len(chosen)), chosen])
        return tagged(example, [labels[place] for place in chosen], sure.tolist())

    def measure(self, example: Tagged, prediction: Prediction) -> Mapping[str, Any]:
        """Counts of entities, strict and relaxed, and of errors."""
        from headstart.metrics.spans import counts

        gold = [(one.begin, one.end, one.type) for one in example.found or ()]
        return counts(gold, prediction.detail["entities"], self.types)

    @property
    def types(self) -> list[str]:
        """The types of entities."""
        return list(dict.fromkeys(label.split("-", 1)[-1] for label in self.known.labels if label != "O"))

    def score(self, measures: Measures, weights: Floats) -> dict[str, NDArray[Any]]:
        """The scores of headstart.metrics.spans."""
        from headstart.metrics.spans import scores

        return scores(measures, weights)

    def describe(self, name: str, measures: Measures) -> tuple[str, bool, str]:
        """Definition, direction and reason of a score."""
        from headstart.metrics.spans import DEFINITIONS

        reason = "nothing was found" if name == "precision" else "these rows hold no entity"
        return DEFINITIONS[name], True, reason

    def warn(self, measures: Measures) -> str | None:
        """Whether nothing is found."""
        if measures["predicted"].any() or not measures["gold"].any():
            return None
        return "collapsed: the model finds no entity. If this lasts, train longer or lower the learning rate."

    def tables(self, measures: Measures) -> dict[str, Json]:
        """per_type, and errors by kind."""
        from headstart.metrics.spans import per_type

        return {"per_type": per_type(measures, self.types),
                "errors": {name: int(measures[name].sum()) for name in ("missed", "spurious", "wrong_type", "wrong_border")}}

    def figures(self, examples: Sequence[Tagged], predictions: Sequence[Prediction], measures: Measures) -> list[Figure]:
        """Per type, errors by kind, sentences with most errors."""
        from headstart.tasks._tag_figures import figures

        return figures(examples, predictions, measures, self.tables(measures))

    def baselines(self) -> tuple[Baseline, ...]:
        """Nothing at all, and the entities of the training rows by heart."""
        return Baseline("no entity", lambda examples, states, seed: Rule(lambda words: [])), Baseline("dictionary", by_heart)


@dataclass(frozen=True)
class Rule:
    """A rival that finds spans of words."""

    find: Any
    size_bytes: int = 1

    def predict(self, examples: Sequence[Any], states: Floats | None) -> list[Prediction]:
        """One prediction an example."""
        return [tagged(one, as_bio([Entity(*held) for held in self.find(one.words)], len(one.places)), [1.0] * len(one.places))
                for one in examples]


def by_heart(examples: Sequence[Tagged], states: Floats | None, seed: int) -> Rule:
    """The dictionary tagger."""
    from headstart.baselines.dictionary import Dictionary

    model = Dictionary.fit((one.words, [(held.begin, held.end, held.type) for held in one.found or ()]) for one in examples)
    return Rule(model.find, model.size_bytes)


def best_window(parts: Sequence[tuple[int, int]], token: int) -> int:
    """The window in which a token stands furthest from the border; the first of equals."""
    inside = [place for place, (begin, end) in enumerate(parts) if begin <= token < end]
    return max(inside, key=lambda place: min(token - parts[place][0], parts[place][1] - 1 - token))


def tagged(example: Tagged, tags: list[str], sure: Sequence[float]) -> Prediction:
    """Tags in the user's terms."""
    found, _ = entities(tags)
    values: dict[str, Json] = {"prediction": tags} if example.from_tokens else {}
    values["spans"] = [span(example, one, sum(sure[one.begin:one.end]) / (one.end - one.begin)) for one in found]
    return Prediction(example.row, values, {"entities": [(one.begin, one.end, one.type) for one in found]})


def span(example: Tagged, one: Entity, probability: float | None) -> dict[str, Json]:
    """An entity with its characters."""
    begin, end = example.places[one.begin][0], example.places[one.end - 1][1]
    made = {"start": begin, "end": end, "type": one.type, "text": example.text[begin:end]}
    return made if probability is None else made | {"probability": probability}
