"""Language model: the next token of a text, or the response to a prompt.

A label positions, M examples, R resamples.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
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
    SamplePrompt,
    Target,
    Task,
    Tokenizer,
)
from headstart.contract.losses import VocabularyCrossEntropy
from headstart.errors import Finding
from headstart.settings import Note
from headstart.tasks.shared import language_figures, prompted_text
from headstart.tasks.shared.language_figures import position_sums
from headstart.tasks.shared.prompt_layout import GENERATED, lay_out, layout_of, learns_prompts, prompt_ids, read_ahead
from headstart.tasks.shared.prompted_text import PromptedText
from headstart.tasks.shared.text_blocks import TextBlock, TextBlocks, is_running_text, join_to_blocks, piece_key

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from headstart.contract import Floats


@dataclass(frozen=True)
class Settings:
    """Settings of language modelling."""

    group_texts: Annotated[bool, Note("concatenate texts into blocks of data.max_length tokens, instead of one text "
                                      "per example (a running text is cut into blocks in any case)")] = False
    overlap: Annotated[float, Note("share of a long text's window that is only read, not scored, in evaluation", low=0,
                                   below=1)] = 0.5
    order: Annotated[Literal["left-to-right", "drawn"], Note(
        "order in which tokens are predicted; drawn: a new random one each time, as XLNet was "
        "pretrained (scores are always from left to right)")] = "left-to-right"
    blocks: Annotated[Literal["joined", "separate"], Note(
        "how a running text is cut: joined, each block begins with the last token of the one before, so that every "
        "token is predicted; separate, as run_clm: a block's first token is only read")] = "joined"
    chat: Annotated[bool, Note("lay prompts out by the tokenizer's chat template, where it has one; else the prompt, a "
                               "line end, the response")] = True


@dataclass(frozen=True)
class LanguageModel(Task[PromptedText]):
    """How likely a text is, token by token."""

    name: ClassVar[str] = "language-model"
    summary: ClassVar[str] = "the next token of a text, or the response to a prompt"
    pipeline_tag: ClassVar[str] = "text-generation"
    fields: ClassVar[tuple[Field, ...]] = prompted_text.FIELDS
    kinds: ClassVar[tuple[Kind, ...]] = ("decoder",)
    selection_score: ClassVar[tuple[str, bool]] = ("perplexity", False)
    reads_text_as: ClassVar[Literal["lines", "blocks", "sentences"]] = "blocks"
    default_model: ClassVar[str] = "distilgpt2"
    Settings: ClassVar[type] = Settings

    @classmethod
    def detect(cls, columns: Sequence[Column]) -> Detection | None:
        """Prompts with responses, conversations, or a file with nothing but texts."""
        return prompted_text.detection(columns)

    def read(self, row: Row) -> PromptedText:
        """The text, prompt and response, or conversation; raises RowFault where there is none."""
        return prompted_text.read_prompted_text(row)

    def dedup_key(self, example: PromptedText) -> str:
        """Prompt and text."""
        return example.full_text if example.piece is None else piece_key(example)

    def gold(self, example: PromptedText) -> Json:
        """The text that is scored."""
        return example.text

    def truncates(self) -> bool:
        """Long texts are read in windows."""
        return False

    def learn(self, examples: Iterable[PromptedText]) -> Learned:
        """Whether there are prompts with responses; how those are laid out is known with the model."""
        return Learned(values={"layout": "prompt" if any(example.prompt is not None for example in examples)
                               else "raw"})

    def check(self, splits: Mapping[str, Sequence[PromptedText]]) -> list[Finding]:
        """Faults: rows that ask and are not answered; a note of the conversations."""
        return [*prompted_text.unanswered_prompts(splits), *prompted_text.describe_conversations(splits)]

    def generates(self, columns: Collection[str]) -> bool:
        """Responses, for a file that has prompts alone, or conversations that end with a question."""
        return "messages" in columns or ("prompt" in columns and "response" not in columns)

    def prediction_columns(self, columns: Collection[str], examples: Iterable[PromptedText]) -> tuple[str, ...]:
        """Those of both, where some rows are answered and others ask."""
        return prompted_text.mixed_columns(examples) if {"messages", "response"} & set(columns) else ()

    @property
    def text_field(self) -> str:
        """A prompt, where those were learned."""
        return "prompt" if learns_prompts(self) else "text"

    @classmethod
    def from_model_config(cls, config: Mapping[str, Json]) -> Learned | None:
        """A published causal language model."""
        return Learned() if (config.get("architectures") or [""])[0].endswith(("ForCausalLM", "LMHeadModel")) else None

    def compose(self, examples: Sequence[PromptedText], tokenizer: Tokenizer, rng: Random) -> Sequence[PromptedText]:
        """The texts as they are, or joined until a block is full; of a running text, its blocks."""
        if is_running_text(examples):
            is_joined = self.settings.blocks == "joined"
            return TextBlocks(examples, tokenizer, as_example, size=tokenizer.max_length - is_joined,
                              context=is_joined * (tokenizer.max_length - 1),
                              begin_id=tokenizer.start_id if is_joined else None,
                              end_id=tokenizer.end_id if is_joined else None)
        if not self.settings.group_texts or any(example.prompt is not None for example in examples):
            return examples
        blocks = join_to_blocks(((example.row, example.text) for example in examples), tokenizer,
                                tokenizer.max_length - 2)
        return [PromptedText(row, text, is_block=True) for row, text in blocks]

    def read_ahead(self, examples: Sequence[PromptedText], tokenizer: Tokenizer) -> None:
        """Conversations are laid out many at once."""
        read_ahead([example.conversation for example in examples if example.prompt is not None], tokenizer,
                   layout_of(self, tokenizer))

    def encode(self, example: PromptedText, tokenizer: Tokenizer, rng: Random | None = None) -> list[Feature]:
        """Windows of start, text and end; every token but the first is a label once.

        text [5, 6, 7] in windows of 3:  ids <start> 5 6 | 6 7 <end>   labels 5 6 | 7 <end>
        """
        if example.block is not None:
            return self.encode_block(example.block, tokenizer, rng)
        if example.prompt is not None:
            return self.encode_conversation(example, tokenizer, rng)
        is_open = example.piece is not None and not example.piece.ends
        ids = [*(token for token in (tokenizer.start_id,) if token is not None), *tokenizer.tokenize(example.text).ids,
               *(token for token in (tokenizer.end_id,) if token is not None and not is_open)]
        stream = "blocks" if example.is_block else example.row
        return self.scored_features(ids, [(1, len(ids))], tokenizer, rng, stream=stream)

    def encode_conversation(self, example: PromptedText, tokenizer: Tokenizer, rng: Random | None) -> list[Feature]:
        """Turns laid out as ever, answers as labels; a beginning that does not fit is cut.

        One that asks is read up to where its answer begins, which is generated.
        """
        layout = layout_of(self, tokenizer)
        if example.asks and rng is None:
            ids = prompt_ids(example.conversation, tokenizer, layout)
            return [Feature(ids, [0] * len(ids), role=GENERATED)]
        laid_out = lay_out(example.conversation, tokenizer, layout)
        first_label = min((start for start, _ in laid_out.learned), default=len(laid_out.ids))
        cut = max(0, min(first_label - 1, len(laid_out.ids) - tokenizer.max_length))
        spans = [(max(1, start - cut), end - cut) for start, end in laid_out.learned]
        return self.scored_features(laid_out.ids[cut:], spans, tokenizer, rng, cut=cut, stream=example.row)

    def scored_features(self, ids: Sequence[int], spans: Sequence[tuple[int, int]], tokenizer: Tokenizer,
                        rng: Random | None, *, stream: Hashable, cut: int = 0) -> list[Feature]:
        """Windows, or with memory segments, whose labels are the tokens of these spans."""
        scored_from = min((start for start, _ in spans), default=len(ids))
        learned = {position for start, end in spans for position in range(start, end)} if len(spans) > 1 or any(
            end < len(ids) for _, end in spans) else None
        if rng is not None:
            return self.windows(ids, scored_from, tokenizer.max_length, rng, cut, learned)
        if tokenizer.has_memory:
            features = self.segments(ids, scored_from, tokenizer.max_length, cut, stream, learned)
        else:
            features = self.windows(ids, scored_from, tokenizer.max_length, rng, cut, learned)
        return [dataclasses.replace(feature, info={"unknown": tokenizer.unknown_id}) for feature in features]

    def encode_block(self, block: TextBlock, tokenizer: Tokenizer, rng: Random | None) -> list[Feature]:
        """A block after as much of what stands before it as its windows read; with memory, one segment of the stream.

        block [5, 6] after [3, 4] in windows of 3:  in training 4 5 6 with labels 5 6
        """
        if rng is None and tokenizer.has_memory and self.settings.blocks == "joined":
            ids = block.context[-1:] + block.ids
            positions = list(range(len(ids) - 1))
            features = [Feature(ids[:-1] or ids, [0] * max(1, len(positions)),
                                {"label": Target(ids[1:], "position")}, label_positions=positions,
                                stream=("document", block.document))]
        else:
            context = block.context[-self.context_length(tokenizer.max_length, rng):]
            features = self.windows(context + block.ids, max(1, len(context)), tokenizer.max_length, rng, 0)
        if rng is not None:
            return features
        return [dataclasses.replace(feature, info={"unknown": tokenizer.unknown_id}) for feature in features]

    def context_length(self, max_length: int, rng: Random | None) -> int:
        """Tokens of a window that are only read: one in training, the overlap in evaluation."""
        return 1 if rng is not None else max(1, min(max_length - 1, round(max_length * self.settings.overlap)))

    def windows(self, ids: Sequence[int], scored_from: int, max_length: int, rng: Random | None,
                cut: int, learned: Collection[int] | None = None) -> list[Feature]:
        """Windows in which every token from `scored_from` on (of them those in `learned`) is a label once; in
        evaluation each window starts with context alone.
        """
        context = self.context_length(max_length, rng)
        window_list: list[tuple[Sequence[int], list[int]]] = []
        start, next_label = 0, scored_from
        while next_label < len(ids):
            end = min(len(ids), start + max_length)
            positions = [position for position in range(next_label - start - 1, end - start - 1)
                         if learned is None or start + position + 1 in learned]
            if positions:
                window_list.append((ids[start:end], positions))
            next_label, start = max(next_label, end), max(0, end - context)
        features, weight = [], 1 / max(1, len(window_list))
        for window_ids, positions in window_list or [(ids, [])]:
            labels = (window_ids[positions[0] + 1:positions[-1] + 2] if positions and learned is None
                      else [window_ids[position + 1] for position in positions])
            target = Target(labels, "position")
            features.append(Feature(window_ids, [0] * len(window_ids), {"label": target}, weight, cut,
                                    label_positions=positions))
        return features

    def segments(self, ids: Sequence[int], scored_from: int, max_length: int, cut: int,
                 stream: Hashable, learned: Collection[int] | None = None) -> list[Feature]:
        """The same for a model with memory: the text once, in segments; a segment's last token predicts the next one's
        first.

        text [5, 6, 7] in segments of 2:  ids <start> 5 | 6 7   labels 5 6 | 7 <end>
        """
        input_length, starts = max(1, len(ids) - 1), range(0, max(1, len(ids) - 1), max_length)
        features = []
        for start in starts:
            segment_ids = ids[start:min(start + max_length, input_length)]
            label_positions = [position for position in range(len(segment_ids))
                               if scored_from <= start + position + 1 < len(ids)
                               and (learned is None or start + position + 1 in learned)]
            target = Target([ids[start + position + 1] for position in label_positions], "position")
            features.append(Feature(segment_ids, [0] * len(segment_ids), {"label": target}, 1 / len(starts), cut,
                                    label_positions=label_positions, stream=stream))
        return features

    def head(self) -> HeadSpec:
        """Vocabulary logits at each token."""
        return HeadSpec("causal-language-model", 0, loss=VocabularyCrossEntropy(),
                        permutation_order=self.settings.order == "drawn")

    def reduce(self, feature: Feature, output: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
        """The loss of the labels, and how many there are."""
        losses = output["surprise"].astype("float64")
        unknown = sum(token == feature.info["unknown"] for token in feature.targets["label"].value)
        return {"loss": float(losses.sum()), "hits": float(output["hit"].sum()), "count": len(losses),
                "unknown": unknown, "positions": position_sums(losses, feature.label_positions or range(len(losses)))}

    def decode(self, example: PromptedText, outputs: Sequence[dict[str, Any]]) -> Prediction:
        """The log-probability of the whole text, or the response that was generated."""
        if "text" in outputs[0]:
            (output,) = outputs
            return Prediction(example.row, {"prediction": output["text"], "log_probability": output["log_probability"]},
                              {"ended": output["ended"], "cut": output["cut"]})
        sums = {name: sum(output[name] for output in outputs) for name in ("loss", "hits", "count", "unknown",
                                                                                "positions")}
        mean = sums["loss"] / sums["count"] if sums["count"] else 0.0
        return Prediction(example.row, {"log_probability": -sums["loss"], "perplexity": math.exp(min(mean, 700.0))},
                          sums)

    def measure(self, example: PromptedText, prediction: Prediction) -> Mapping[str, Any]:
        """Loss, tokens, words and bytes of the text; raises UserError (65) for a response that was generated."""
        from headstart.metrics.language import measures

        prompted_text.check_scored(prediction)
        text, continues_word = example.text, False
        if example.block is not None:
            text, continues_word = example.block.scored_text(skips_first=self.settings.blocks == "separate")
        text_measures = measures(prediction.detail["loss"], int(prediction.detail["count"]), text)
        text_measures["words"] -= continues_word  # counted where it begins
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

    def sample_prompt(self, example: PromptedText, tokenizer: Tokenizer) -> SamplePrompt | None:
        """The prompt and its response; else the text's first words (a third of them, at most 24) and the rest."""
        if example.prompt is not None:
            turns = example.conversation[:-1]
            return SamplePrompt(turns[-1].content, example.conversation[-1].content,
                                prompt_ids(turns, tokenizer, layout_of(self, tokenizer)))
        ends = [word.end() for word in re.finditer(r"\S+", example.text)]
        end = ends[max(1, min(24, len(ends) // 3)) - 1]
        return SamplePrompt(example.text[:end], example.text[end:].strip())

    def baselines(self) -> tuple[Baseline, ...]:
        """Counts of what follows the two previous tokens."""
        from headstart.tasks.shared.ngram_baseline import fit_ngrams

        return (Baseline("3-gram with back-off", fit_ngrams, needs_features=True),)

    def figures(self, examples: Sequence[PromptedText], predictions: Sequence[Prediction],
                measures: Measures) -> list[Figure]:
        """The loss by position, and the texts of the highest loss."""
        return language_figures.figures([example.full_text for example in examples], predictions)


def as_example(block: TextBlock) -> PromptedText:
    """A block of a running text as an example."""
    return PromptedText(block.row, block.text, block=block)
