"""Shared by the sequence-to-sequence tasks: rows, model input, generated texts and their scores.

M examples, R resamples.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from headstart.contract import (
    AnswerType,
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
from headstart.contract.losses import VocabularyCrossEntropy
from headstart.errors import Finding
from headstart.settings import Count, Note
from headstart.tasks.shared.column_detection import first_named
from headstart.tasks.shared.file_predictions import predicted_text
from headstart.text.chunks import chunks
from headstart.text.json_values import parse_list_text

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from headstart.contract import Floats

SOURCE_NAMES = ("source", "document", "article", "dialogue", "text", "input", "passage", "prompt")
TARGET_NAMES = ("target", "summary", "highlights", "abstract", "translation", "output", "tldr", "response")
AUTO = "auto"
MAX_SHOWN = 20


@dataclass(frozen=True)
class Settings:
    """Settings of the sequence-to-sequence tasks."""

    prefix: Annotated[str,
                      Note("prefix of each source; auto: what the model's config names for the task, else none")] = AUTO
    max_target_length: Annotated[
        Count, Note("longest target in tokens; as many as the model takes when not given", low=4)] = None
    join_targets: Annotated[bool, Note("a list in the target is one text in parts, not several references")] = False
    long_source: Annotated[Literal["cut", "chunks", "chunks-again"], Note("a source that does not fit: truncate it, "
        "or generate for each part of whole sentences and join the texts; chunks-again: generate once more from the "
        "joined texts")] = "cut"
    use_stemmer: Annotated[bool, Note("compare stems of words (ROUGE)")] = True


@dataclass(frozen=True)
class SourceTargetExample(Example):
    """A source and its reference texts, the first of which is trained on; None when predicting."""

    source: str
    targets: tuple[str, ...] | None = None


@dataclass(frozen=True)
class SequenceToSequenceTask(Task[SourceTargetExample]):
    """A target text for a source text; each final task has its name, column names and selection score."""

    fields: ClassVar[tuple[Field, ...]] = (
        Field("source", "the source text; a list is joined", aliases=SOURCE_NAMES),
        Field("target", "the target text; a list holds several references", target=True, aliases=TARGET_NAMES),
    )
    answer_type: ClassVar[AnswerType] = "text"
    kinds: ClassVar[tuple[Kind, ...]] = ("encoder-decoder",)
    default_model: ClassVar[str] = "t5-small"
    Settings: ClassVar[type] = Settings
    scores_by_column: ClassVar[Mapping[str, tuple[str, ...]]] = {"ended": ("ended",)}
    generative: ClassVar[bool] = True

    def read(self, row: Row) -> SourceTargetExample:
        """Source and targets; raises RowFault."""
        source = join_texts(row.values.get("source"), " ")
        if not source.strip():
            raise RowFault("E201", "the source is empty.", fix="Fill it in, or leave the row out (--bad-rows skip).",
                           field="source")
        target = parse_list(row.values.get("target"))
        if target is None or target == "":
            return SourceTargetExample(row.id, source)
        if isinstance(target, list) and not self.settings.join_targets:
            texts = tuple(text for text in (join_texts(item, " ").strip() for item in target) if text)
        else:
            texts = tuple(text for text in [join_texts(target, "\n").strip()] if text)
        if not texts:
            raise RowFault("E201", "the target is empty.", fix="Fill it in, or leave the row out (--bad-rows skip).",
                           field="target")
        return SourceTargetExample(row.id, source, texts)

    @property
    def reads_the_same_after_learning(self) -> bool:
        """Always: rows are read by themselves."""
        return True

    def dedup_key(self, example: SourceTargetExample) -> str:
        """The source."""
        return example.source

    def gold(self, example: SourceTargetExample) -> Json:
        """The reference text, or all of them."""
        return None if example.targets is None else example.targets[0] if len(example.targets) == 1 else list(
            example.targets)

    def learn(self, examples: Iterable[SourceTargetExample]) -> Learned:
        """Nothing but the weights; prefix and lengths are added when the model is loaded."""
        return Learned(values={"prefix": "" if self.settings.prefix == AUTO else self.settings.prefix})

    @classmethod
    def from_model_config(cls, config: Mapping[str, Json]) -> Learned | None:
        """A published sequence-to-sequence model; its config gives the prefix of sources."""
        if not (config.get("architectures") or [""])[0].endswith(("ForConditionalGeneration", "MTModel",
                                                                  "EncoderDecoderModel")):
            return None
        return Learned(values={"prefix": config_prefix(config, cls.name)})

    def check(self, splits: Mapping[str, Sequence[SourceTargetExample]]) -> list[Finding]:
        """Findings: targets that equal their source."""
        findings = []
        for split, examples in splits.items():
            copied_rows = [example.row for example in examples if example.targets
                           and example.source.strip() in example.targets]
            if copied_rows:
                message = f"in {split}, {len(copied_rows):,} targets equal their source (first: row {copied_rows[0]})."
                findings.append(Finding("W230", message, "There is nothing to learn there; leave such rows out unless "
                                                         "they are intended."))
        return findings

    def encode(self, example: SourceTargetExample, tokenizer: Tokenizer, rng: Random | None = None) -> list[Feature]:
        """The source, truncated at the end where it is too long, and the first target with its end token.

        When predicting, with `long`, a feature for each part of a long source.
        """
        prefix, max_tokens = str(self.learned.values.get("prefix", "")), tokenizer.max_content_length(1)
        source_ids = list(tokenizer.tokenize(prefix + example.source).ids)
        if rng is None and self.settings.long_source != "cut" and len(source_ids) > max_tokens:
            source_chunks = chunks(example.source, lambda text: len(tokenizer.tokenize(prefix + text).ids), max_tokens)
            chunk_ids = (list(tokenizer.tokenize(prefix + chunk).ids)[:max_tokens] for chunk in source_chunks)
            return [Feature(*tokenizer.with_special_tokens(ids)) for ids in chunk_ids]
        (input_ids,
         types), cut = tokenizer.with_special_tokens(source_ids[:max_tokens]), max(0, len(source_ids) - max_tokens)
        if example.targets is None:
            return [Feature(input_ids, types, truncated_tokens=cut)]
        target_ids = list(tokenizer.target.tokenize(example.targets[0]).ids)
        max_tokens = tokenizer.target.max_content_length(1)
        max_target_tokens = min(self.settings.max_target_length or max_tokens, max_tokens)
        label_ids = tokenizer.target.with_special_tokens(target_ids[:max_target_tokens])[0]
        info = {"target_cut": len(target_ids) - max_target_tokens} if len(target_ids) > max_target_tokens else {}
        targets = {"label": Target(label_ids, "position")}
        return [Feature(input_ids, types, targets, truncated_tokens=cut, info=info,
                        label_positions=[0] * len(label_ids))]

    def head(self) -> HeadSpec:
        """Vocabulary logits at each target token."""
        return HeadSpec("sequence-to-sequence", 0, loss=VocabularyCrossEntropy())

    def reduce(self, feature: Feature, output: Mapping[str, NDArray[Any]]) -> Any:
        """Never called: outputs are generated texts."""
        raise AssertionError("a generative task keeps texts")

    def decode(self, example: SourceTargetExample, outputs: Sequence[dict[str, Any]]) -> Prediction:
        """The text; the texts of a long source's chunks joined."""
        stop_reason = next((output["ended"] for output in outputs if output["ended"] != "end"), "end")
        text, cut = " ".join(output["text"] for output in outputs if output["text"]), sum(output["cut"]
                                                                                          for output in outputs)
        return Prediction(example.row, {"prediction": text,
                                        "log_probability": sum(output["log_probability"] for output in outputs)},
                          {"ended": stop_reason, "cut": cut, "tokens": sum(output["tokens"] for output in outputs)})

    def second_pass(self, example: SourceTargetExample,
                    outputs: Sequence[dict[str, Any]]) -> SourceTargetExample | None:
        """The joined texts of a long source's chunks as a source, where the settings want it."""
        joined_text = " ".join(output["text"] for output in outputs if output["text"])
        regenerates = self.settings.long_source == "chunks-again" and len(outputs) > 1
        return SourceTargetExample(example.row, joined_text) if regenerates and joined_text else None

    def read_prediction(self, example: SourceTargetExample, values: Mapping[str, Json]) -> Prediction:
        """A text; raises RowFault."""
        return Prediction(example.row, {"prediction": predicted_text(values)},
                          {"ended": str(values.get("ended") or "end")})

    def measure(self, example: SourceTargetExample, prediction: Prediction) -> Mapping[str, Any]:
        """The measures of all scores of these tasks."""
        from headstart.metrics import text_quality
        from headstart.metrics.rouge import rouge

        text, golds = str(prediction.values["prediction"]), list(example.targets or ())
        quality = text_quality.measures(text, example.source)
        return rouge(text, golds, stem=self.settings.use_stemmer) | quality | {
            "exact_match": float(text.strip() in golds), "ended": float(prediction.detail.get("ended", "end") == "end")}

    def score(self, measures: Measures, weights: Floats) -> dict[str, NDArray[Any]]:
        """The task's scores first, then ROUGE, then text quality."""
        from headstart.metrics import rouge, text_quality
        from headstart.metrics.nan_means import weighted_nanmean

        scores = self.task_scores(measures, weights) | rouge.scores(measures, weights)
        scores["exact_match"] = weighted_nanmean(measures["exact_match"], weights)
        quality = text_quality.scores(measures, weights)
        selection_name = self.selection_score[0]
        scores = {selection_name: scores[selection_name], **scores, **{name: quality[name] for name in QUALITY_SCORES}}
        return scores | {"ended": weighted_nanmean(measures["ended"], weights)}

    def task_scores(self, measures: Measures, weights: Floats) -> dict[str, NDArray[Any]]:
        """Scores of this task alone."""
        return {}

    def describe(self, name: str, measures: Measures) -> tuple[str, bool, str]:
        """Definition, direction and reason of a score."""
        from headstart.metrics import rouge, text_quality

        if name in rouge.DEFINITIONS:
            return rouge.definition(name, stem=self.settings.use_stemmer), True, "no row has a reference"
        if name == "exact_match":
            return "share of texts equal to a reference", True, "there are no rows"
        if name == "ended":
            return "share of texts that end within generation.max_new_tokens", True, "there are no rows"
        return text_quality.DEFINITIONS[name], name == "length_ratio", "no text has any"

    def collapse_warning(self, measures: Measures) -> str | None:
        """Whether nothing is generated."""
        # NaN: no words at all
        if measures["distinct_1"].size and (measures["distinct_1"] != measures["distinct_1"]).all():
            return "collapsed: the model generates nothing. If this lasts, train longer or lower the learning rate."
        return None

    def figures(self, examples: Sequence[SourceTargetExample], predictions: Sequence[Prediction],
                measures: Measures) -> list[Figure]:
        """The texts with the lowest and the highest ROUGE-L, with their sources."""
        import numpy as np

        from headstart.metrics.marked_words import MEANINGS, marked_pieces

        order = np.argsort(np.nan_to_num(measures["rougeL"]), kind="stable").tolist()

        def items(indices: Sequence[int]) -> list[Json]:
            return [{"title": f"row {examples[index].row}", "fields": {"ROUGE-L": float(measures["rougeL"][index])},
                     "columns": [["Source", [[examples[index].source[:2000], ""]]],
                                 ["Written", marked_pieces(str(predictions[index].values["prediction"]),
                                                           examples[index].source)],
                                 ["In the file", [[" | ".join(examples[index].targets or ())[:2000], ""]]]]}
                    for index in indices]

        def side_by_side(name: str, title: str, indices: Sequence[int]) -> Figure:
            return Figure(name, title, "beside", {"items": items(indices[:MAX_SHOWN]), "marks": MEANINGS})

        return [side_by_side("worst_texts", "Least similar to the reference", order),
                side_by_side("best_texts", "Most similar to the reference", order[::-1])]


QUALITY_SCORES = ("length_ratio", "novel_2", "copied", "unsupported_numbers", "unsupported_names", "repetition")


def parse_list(value: Json) -> Json:
    """A JSON list in a text (a cell of a csv) as the list; anything else unchanged."""
    if isinstance(value, tuple):
        return list(value)
    if isinstance(value, str) and value.lstrip()[:1] == "[" and value.rstrip()[-1:] == "]":
        try:
            parsed = parse_list_text(value)
        except ValueError:
            return value
        return parsed if isinstance(parsed, list) and all(isinstance(item, str) for item in parsed) else value
    return value


def join_texts(value: Json, separator: str) -> str:
    """A text, or a list of texts joined to one."""
    items = parse_list(value)
    if isinstance(items, list):
        return separator.join("" if item is None else str(item) for item in items)
    return "" if items is None else items if isinstance(items, str) else json.dumps(items, ensure_ascii=False)


def config_prefix(config: Mapping[str, Json], task: str) -> str:
    """The prefix of sources that a model's config gives for this task."""
    parameters = (config.get("task_specific_params") or {}).get(task) or {}
    return str(parameters.get("prefix") or config.get("prefix") or "")


def with_config_prefix(task: Task[Any], config: Mapping[str, Json]) -> Task[Any]:
    """The task with the text that a config wants before each source; the task itself where it takes none."""
    if not task.generative or getattr(task.settings, "prefix", None) != AUTO:
        return task
    return task.with_learned(task.learned.with_value("prefix", config_prefix(config, task.name)))


def source_target_columns(columns: Sequence[Column], sources: Sequence[str],
                          targets: Sequence[str]) -> dict[str, str] | None:
    """The columns with these names, if both exist."""
    source, target = first_named(columns, tuple(sources)), first_named(columns, tuple(targets))
    return None if source is None or target is None or source.name == target.name else {"source": source.name,
                                                                                        "target": target.name}
