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
    Task,
    Tokenizer,
)
from headstart.errors import Exit, Finding, UserError
from headstart.settings import Note
from headstart.tasks.shared.column_detection import named
from headstart.tasks.token_tagging import reading
from headstart.tasks.token_tagging.reading import Tagged
from headstart.tasks.token_tagging.windows import features
from headstart.text.tags import Entity, as_bio, parts

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from headstart.contract import Floats

TOKENS, TAGS = ("tokens", "words"), ("tags", "ner_tags", "ner", "labels", "pos_tags")
SPANS = ("spans", "entities", "annotations")
Answered = tuple[Sequence[int], "NDArray[Any]", Mapping[int, int]]  # words, log-probabilities (W, C), words held by others' tokens


@dataclass(frozen=True)
class Settings:
    """What token tagging can be told."""

    labelled: Annotated[Literal["first", "all"], Note("which pieces of a word learn its tag")] = "first"
    overlap: Annotated[int, Note("tokens that neighbouring windows of a long text share", low=0)] = 32
    scheme: Annotated[Literal["auto", "bio", "iob1", "bioes"], Note("how the file's tags are written; found by itself when auto")] = "auto"


@dataclass(frozen=True)
class TokenTagging(Task[Tagged]):
    """Which words of a text are an entity, and of which type."""

    name: ClassVar[str] = "token-tagging"
    summary: ClassVar[str] = "names and other entities in a text (CoNLL columns, or character spans)"
    fields: ClassVar[tuple[Field, ...]] = (
        Field("text", "the text", required=False, usual=("text", "sentence")),
        Field("spans", 'its entities, [{"start", "end", "type"}]', type="list", required=False, target=True, usual=SPANS),
        Field("tokens", "its words, a list, instead of a text", type="list", required=False, usual=TOKENS),
        Field("tags", "a tag for each word (BIO, IOB1, BIOES), a list", type="list", required=False, target=True, usual=TAGS),
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
        return reading.read(row, self.settings.scheme)

    def subject(self, example: Tagged) -> str:
        """The text."""
        return example.text

    def gold(self, example: Tagged) -> Json:
        """Tags, or spans."""
        if example.found is None:
            return None
        return as_bio(example.found, len(example.places)) if example.from_tokens else [span(example, one, None) for one in example.found]

    def check(self, splits: Mapping[str, Sequence[Tagged]]) -> list[Finding]:
        """Rows without tags, repaired tags, widened spans, types that training never shows."""
        return reading.check(splits, self.settings.scheme)

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
        labels = tuple(str(names[key]) for key in sorted(names, key=int))
        return Learned(labels) if labels and all(parts(label) is not None for label in labels) else None

    def encode(self, example: Tagged, tokenizer: Tokenizer, draw: Random | None = None) -> list[Feature]:
        """Windows of the text; each word is learned and answered in the one that holds most around it."""
        number = {label: place for place, label in enumerate(self.known.labels)}
        return features(example, tokenizer, number, overlap=self.settings.overlap, every_piece=self.settings.labelled == "all",
                        predicting=draw is None)

    def head(self) -> HeadSpec:
        """A score for each tag at each token."""
        return HeadSpec("token-classification", len(self.known.labels), self.known.labels)

    def reduce(self, feature: Feature, output: Mapping[str, NDArray[Any]]) -> Answered:
        """The words that this window answers, and the log-probabilities of their tags, (W, C)."""
        import numpy as np

        logits = output["logits"][np.asarray(feature.info["places"], dtype=np.int64)].astype("float64")
        logits -= logits.max(axis=1, keepdims=True, initial=-np.inf)
        logs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        return feature.info["words"], logs.astype("float32"), feature.info["held_by"]

    def decode(self, example: Tagged, pieces: Sequence[Answered]) -> Prediction:
        """The likeliest tags of all words that make sense together (no I- without its B-), as tags and spans."""
        from headstart.tasks.token_tagging.decoding import found

        return tagged(example, found(pieces, self.known.labels), sum(len(words) for words, _, _ in pieces))

    def measure(self, example: Tagged, prediction: Prediction) -> Mapping[str, Any]:
        """Counts of entities, strict and relaxed, and of errors."""
        from headstart.metrics.spans import counts

        if example.found is None:
            raise UserError(f"Row {example.row} has neither tags nor spans, so that nothing can be measured on it.",
                            fix="Fill them in ([] where there is no entity), or leave the row out.", exit=Exit.DATA)
        gold = [(one.begin, one.end, one.type) for one in example.found]
        silent = len(example.places) - prediction.detail.get("spoken", len(example.places))
        return counts(gold, prediction.detail["entities"], self.types) | {"words": len(example.places), "silent": silent}

    @property
    def types(self) -> list[str]:
        """The types of entities."""
        return list(dict.fromkeys((parts(label) or ("", label))[1] for label in self.known.labels if label != "O"))

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
        """per_type, errors by kind, and how many words became no token (none of them can be found alone)."""
        from headstart.metrics.spans import per_type

        return {"per_type": per_type(measures, self.types),
                "errors": {name: int(measures[name].sum()) for name in ("missed", "spurious", "wrong_type", "wrong_border")},
                "words": int(measures["words"].sum()), "words_without_tokens": int(measures["silent"].sum())}

    def official(self, examples: Sequence[Tagged], predictions: Sequence[Prediction]) -> dict[str, str]:
        """The words with gold and predicted tags, as conlleval reads them, where rows are given as tokens."""
        if not all(example.from_tokens and example.found is not None for example in examples):
            return {}
        blocks = []
        for example, one in zip(examples, predictions, strict=True):
            lines = zip(example.words, self.gold(example), one.values["prediction"], strict=True)
            blocks.append("".join(f"{'_'.join(word.split())} {gold} {tag}\n" for word, gold, tag in lines))
        return {"predictions.conll": "\n".join(blocks)}

    def figures(self, examples: Sequence[Tagged], predictions: Sequence[Prediction], measures: Measures) -> list[Figure]:
        """Per type, errors by kind, sentences with most errors."""
        from headstart.tasks.token_tagging.figures import figures

        return figures(examples, predictions, measures, self.tables(measures))

    def doubts(self, examples: Sequence[Tagged], predictions: Sequence[Prediction], measures: Measures, count: int) -> list[Doubt]:
        """Entities that should not be there, or are of the wrong type, in the sentences with most errors."""
        from headstart.tasks.token_tagging.figures import doubts

        return doubts(examples, predictions, measures, self.known.labels, count)

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
        return [tagged(one, [(Entity(*held), 1.0) for held in self.find(one.words)]) for one in examples]


def by_heart(examples: Sequence[Tagged], states: Floats | None, seed: int) -> Rule:
    """The dictionary tagger."""
    from headstart.baselines.dictionary import Dictionary

    model = Dictionary.fit((one.words, [(held.begin, held.end, held.type) for held in one.found or ()]) for one in examples)
    return Rule(model.find, model.size_bytes)


def tagged(example: Tagged, found: Sequence[tuple[Entity, float]], spoken: int | None = None) -> Prediction:
    """Entities with their probabilities in the user's terms; `spoken` is how many words became tokens."""
    held = [one for one, _ in found]
    values: dict[str, Json] = {"prediction": as_bio(held, len(example.places))} if example.from_tokens else {}
    values["spans"] = [span(example, one, sure) for one, sure in found]
    detail = {"entities": [(one.begin, one.end, one.type) for one in held]}
    return Prediction(example.row, values, detail | ({} if spoken is None else {"spoken": spoken}))


def span(example: Tagged, one: Entity, probability: float | None) -> dict[str, Json]:
    """An entity with its characters."""
    begin, end = example.places[one.begin][0], example.places[one.end - 1][1]
    made = {"start": begin, "end": end, "type": one.type, "text": example.text[begin:end]}
    return made if probability is None else made | {"probability": probability}
