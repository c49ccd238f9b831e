"""Language model: the next token of a text, or the response to a prompt.

A label positions, M examples, R resamples.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

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
from headstart.contract.losses import VocabularyCrossEntropy
from headstart.settings import Note
from headstart.tasks.shared.column_detection import first_named
from headstart.tasks.shared.text_blocks import join_to_blocks
from headstart.tasks.shared.text_pairs import TEXT_NAMES, cell_text

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from headstart.contract import Floats

PROMPT_NAMES, RESPONSE_NAMES = ("prompt", "instruction", "input"), ("response", "completion", "output", "answer")


@dataclass(frozen=True)
class Settings:
    """Settings of language modelling."""

    group_texts: Annotated[bool, Note("concatenate texts into blocks of data.max_length tokens, instead of one text "
                                      "per example")] = False
    overlap: Annotated[float, Note("share of a long text's window that is only read, not scored, in evaluation", low=0,
                                   below=1)] = 0.5
    order: Annotated[Literal["left-to-right", "drawn"], Note(
        "order in which tokens are predicted; drawn: a new random one each time, as XLNet was "
        "pretrained (scores are always from left to right)")] = "left-to-right"
    chat: Annotated[bool, Note("format prompts with the tokenizer's chat template, where it has one")] = True


@dataclass(frozen=True)
class PromptedText(Example):
    """A text, or a prompt with its response as the text; an empty one when it is to be generated."""

    text: str
    prompt: str | None = None
    is_block: bool = False  # whether it is a block of a longer text, and continues the previous block

    @property
    def full_text(self) -> str:
        """Prompt and text."""
        return self.text if self.prompt is None else f"{self.prompt}\n{self.text}"


@dataclass(frozen=True)
class LanguageModel(Task[PromptedText]):
    """How likely a text is, token by token."""

    name: ClassVar[str] = "language-model"
    summary: ClassVar[str] = "the next token of a text, or the response to a prompt"
    pipeline_tag: ClassVar[str] = "text-generation"
    fields: ClassVar[tuple[Field, ...]] = (
        Field("text", "the text", required=False, aliases=TEXT_NAMES),
        Field("prompt", "what precedes the response; no loss is computed on it", required=False, aliases=PROMPT_NAMES),
        Field("response", "the response to the prompt", required=False, target=True, aliases=RESPONSE_NAMES),
    )
    kinds: ClassVar[tuple[Kind, ...]] = ("decoder",)
    selection_score: ClassVar[tuple[str, bool]] = ("perplexity", False)
    default_model: ClassVar[str] = "distilgpt2"
    Settings: ClassVar[type] = Settings

    @classmethod
    def detect(cls, columns: Sequence[Column]) -> Detection | None:
        """Prompts with responses, or a file with nothing but texts."""
        prompt, response = first_named(columns, PROMPT_NAMES), first_named(columns, RESPONSE_NAMES)
        if prompt is not None and response is not None:
            return Detection({"prompt": prompt.name, "response": response.name}, 0.9,
                             f"{prompt.name!r} and {response.name!r} are there")
        columns = [column for column in columns if column.name.lower() != "document"]
        if len(columns) != 1 or columns[0].name.lower() not in TEXT_NAMES:
            return None
        return Detection({"text": columns[0].name}, 0.4, f"the only column, {columns[0].name!r}, holds texts")

    def read(self, row: Row) -> PromptedText:
        """The text, or prompt and response; raises RowFault where there is neither."""
        text, prompt, response = (cell_text(row, name) for name in ("text", "prompt", "response"))
        if prompt is not None and prompt.strip():
            return PromptedText(row.id, response or "", prompt)
        if text is None or not text.strip():
            field = "prompt" if "prompt" in row.values else "text"
            raise RowFault("E201", f"the {field} is empty.", fix="Fill it in, or leave the row out (--bad-rows skip).",
                           field=field)
        return PromptedText(row.id, text)

    def dedup_key(self, example: PromptedText) -> str:
        """Prompt and text."""
        return example.full_text

    def gold(self, example: PromptedText) -> Json:
        """The text that is scored."""
        return example.text

    def truncates(self) -> bool:
        """Long texts are read in windows."""
        return False

    def learn(self, examples: Iterable[PromptedText]) -> Learned:
        """Nothing is learned but the weights."""
        return Learned()

    @classmethod
    def from_model_config(cls, config: Mapping[str, Json]) -> Learned | None:
        """A published causal language model."""
        return Learned() if (config.get("architectures") or [""])[0].endswith(("ForCausalLM", "LMHeadModel")) else None

    def compose(self, examples: Sequence[PromptedText], tokenizer: Tokenizer, rng: Random) -> Sequence[PromptedText]:
        """The texts as they are, or joined until a block is full."""
        if not self.settings.group_texts or any(example.prompt is not None for example in examples):
            return examples
        blocks = join_to_blocks(((example.row, example.text) for example in examples), tokenizer,
                                tokenizer.max_length - 2)
        return [PromptedText(row, text, is_block=True) for row, text in blocks]

    def encode(self, example: PromptedText, tokenizer: Tokenizer, rng: Random | None = None) -> list[Feature]:
        """Windows of start, text and end; every token but the first is a label once.

        text [5, 6, 7] in windows of 3:  ids <start> 5 6 | 6 7 <end>   labels 5 6 | 7 <end>
        """
        prompt_ids = [token for token in (tokenizer.start_id,) if token is not None]
        if example.prompt is not None:
            prompt_ids += tokenizer.tokenize(tokenizer.as_prompt(example.prompt, chat=self.settings.chat)).ids
        ids = [*prompt_ids, *tokenizer.tokenize(example.text).ids,
               *(token for token in (tokenizer.end_id,) if token is not None)]
        scored_from = max(1, len(prompt_ids))  # the index of the first label
        cut = 0
        if example.prompt is not None and len(ids) > tokenizer.max_length:
            cut = min(len(prompt_ids) - 1, len(ids) - tokenizer.max_length)
            ids, scored_from = ids[cut:], scored_from - cut
        if rng is not None:
            return self.windows(ids, scored_from, tokenizer.max_length, rng, cut)
        if tokenizer.has_memory:
            features = self.segments(ids, scored_from, tokenizer.max_length, cut,
                                     "blocks" if example.is_block else example.row)
        else:
            features = self.windows(ids, scored_from, tokenizer.max_length, rng, cut)
        return [dataclasses.replace(feature, info={"unknown": tokenizer.unknown_id}) for feature in features]

    def windows(self, ids: Sequence[int], scored_from: int, max_length: int, rng: Random | None,
                cut: int) -> list[Feature]:
        """Windows in which every token from `scored_from` on is a label once; in evaluation each window starts with
        context alone.
        """
        context = 1 if rng is not None else max(1, min(max_length - 1, round(max_length * self.settings.overlap)))
        window_list: list[tuple[Sequence[int], list[int]]] = []
        start, next_label = 0, scored_from
        while next_label < len(ids):
            end = min(len(ids), start + max_length)
            positions = list(range(next_label - start - 1, end - start - 1))
            if positions:
                window_list.append((ids[start:end], positions))
            next_label, start = max(next_label, end), max(0, end - context)
        features, weight = [], 1 / max(1, len(window_list))
        for window_ids, positions in window_list or [(ids, [])]:
            target = Target([window_ids[position + 1] for position in positions], "position")
            features.append(Feature(window_ids, [0] * len(window_ids), {"label": target}, weight, cut,
                                    label_positions=positions))
        return features

    def segments(self, ids: Sequence[int], scored_from: int, max_length: int, cut: int,
                 stream: Hashable) -> list[Feature]:
        """The same for a model with memory: the text once, in segments; a segment's last token predicts the next one's
        first.

        text [5, 6, 7] in segments of 2:  ids <start> 5 | 6 7   labels 5 6 | 7 <end>
        """
        input_length, starts = max(1, len(ids) - 1), range(0, max(1, len(ids) - 1), max_length)
        features = []
        for start in starts:
            segment_ids = ids[start:min(start + max_length, input_length)]
            label_positions = [position for position in range(len(segment_ids))
                               if scored_from <= start + position + 1 < len(ids)]
            target = Target([ids[start + position + 1] for position in label_positions], "position")
            features.append(Feature(segment_ids, [0] * len(segment_ids), {"label": target}, 1 / len(starts), cut,
                                    label_positions=label_positions, stream=stream))
        return features

    def head(self) -> HeadSpec:
        """Vocabulary logits at each token."""
        return HeadSpec("causal-language-model", 0, loss=VocabularyCrossEntropy(),
                        permutation_order=self.settings.order == "drawn")

    def reduce(self, feature: Feature, output: Mapping[str, NDArray[Any]]) -> dict[str, float]:
        """The loss of the labels, and how many there are."""
        losses = output["surprise"].astype("float64")
        unknown = sum(token == feature.info["unknown"] for token in feature.targets["label"].value)
        return {"loss": float(losses.sum()), "hits": float(output["hit"].sum()), "count": len(losses),
                "unknown": unknown}

    def decode(self, example: PromptedText, outputs: Sequence[dict[str, float]]) -> Prediction:
        """The log-probability of the whole text."""
        sums = {name: sum(output[name] for output in outputs) for name in ("loss", "hits", "count", "unknown")}
        mean = sums["loss"] / sums["count"] if sums["count"] else 0.0
        return Prediction(example.row, {"log_probability": -sums["loss"], "perplexity": math.exp(min(mean, 700.0))},
                          sums)

    def measure(self, example: PromptedText, prediction: Prediction) -> Mapping[str, Any]:
        """Loss, tokens, words and bytes of the text."""
        from headstart.metrics.language import measures

        text_measures = measures(prediction.detail["loss"], int(prediction.detail["count"]), example.text)
        return text_measures | {"unknown": prediction.detail.get("unknown", 0)}

    def collapse_warning(self, measures: Measures) -> str | None:
        """Unknown tokens are easy to predict: a perplexity with many of them says little."""
        unknown_share = float(measures["unknown"].sum() / max(1, measures["tokens"].sum()))
        if unknown_share < 0.01:
            return None
        return (f"{unknown_share:.1%} of the tokens are unknown to the tokenizer and easy to predict: perplexity and "
                "bits per byte say little here")

    def score(self, measures: Measures, weights: Floats) -> dict[str, NDArray[Any]]:
        """perplexity (a token), word_perplexity, bits_per_byte."""
        import numpy as np

        from headstart.metrics.language import scores

        return {name: np.where(np.isfinite(values), values, np.nan)
                for name, values in scores(measures, weights).items()}

    def describe(self, name: str, measures: Measures) -> tuple[str, bool, str]:
        """Definition, direction and reason of a score."""
        from headstart.metrics.language import undefined_reason

        definitions = {"perplexity": "exp(mean of -log p of a token, the end included); depends on the vocabulary",
                       "word_perplexity": "exp(summed -log p of the text / its words)",
                       "bits_per_byte": "summed -log2 p of the text / its bytes in UTF-8; comparable across "
                                        "vocabularies"}
        return definitions[name], False, undefined_reason(name, measures)

    def sample_prompt(self, example: PromptedText, tokenizer: Tokenizer) -> tuple[str, str] | None:
        """The prompt and its response; else the text's first words (a third of them, at most 24) and the rest."""
        if example.prompt is not None:
            return tokenizer.as_prompt(example.prompt, chat=self.settings.chat), example.text
        ends = [word.end() for word in re.finditer(r"\S+", example.text)]
        end = ends[max(1, min(24, len(ends) // 3)) - 1]
        return example.text[:end], example.text[end:].strip()

    def baselines(self) -> tuple[Baseline, ...]:
        """Counts of what follows the two previous tokens."""
        from headstart.tasks.shared.ngram_baseline import fit_ngrams

        return (Baseline("3-gram with back-off", fit_ngrams, needs_features=True),)

    def figures(self, examples: Sequence[PromptedText], predictions: Sequence[Prediction],
                measures: Measures) -> list[Figure]:
        """The texts of the highest loss."""
        import numpy as np

        mean_losses = np.asarray([prediction.detail["loss"] / max(1, prediction.detail["count"])
                                  for prediction in predictions])
        order = np.argsort(-mean_losses, kind="stable")[:20].tolist()
        items = [{"text": examples[index].full_text[:2000], "title": f"row {examples[index].row}",
                  "fields": {"mean loss of a token": float(mean_losses[index])}} for index in order]
        return [Figure("surprising", "Texts of the highest loss", "texts", {"items": items})]
