"""Text that a model generates after a prompt.

P prompts, S tokens of the longest prompt, V pieces of the vocabulary.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headstart.contract import Feature, Layout, Target
from headstart.data.features.batches import collate
from headstart.errors import Exit, UserError
from headstart.generation import contrastive_search, diverse_beams, family_inputs, prompt_lookup
from headstart.generation.log_probabilities import LogProbabilityRecorder, StopStrings
from headstart.generation.logits_processors import NewTextPenalties, without_penalties
from headstart.generation.memory import check_memory
from headstart.generation.prompts import (
    encode_prompt,
    end_token_ids,
    has_position_limit,
    max_total_tokens,
    stopping_at_turn_end,
)
from headstart.generation.randomness import seeded
from headstart.models.loading.quiet import quiet
from headstart.settings import Generation

if TYPE_CHECKING:
    from torch import Tensor

    from headstart.models.loading.model_info import ModelInfo
    from headstart.models.model import Model

CONTEXT_TOKENS = 16  # last tokens of a prompt with which the text is decoded


@dataclass(frozen=True)
class GeneratedText:
    """The text after one prompt: its tokens, log p of each under the model as it is, and why it ended.

    `finish_reason` is "end" (the end token came), "stop" (a stop string came, and is not part of the text) or "length".
    `cut_tokens` is how many tokens of the prompt's beginning did not fit.
    """

    text: str
    ids: tuple[int, ...]
    log_probabilities: tuple[float, ...]
    finish_reason: str
    cut_tokens: int = 0


def generate(model: Model, prompts: Sequence[str], settings: Generation, *, seed: int, stop: Sequence[str] = (),
             stream: Callable[[str], None] | None = None) -> list[list[GeneratedText]]:
    """The texts after each prompt, `settings.num_return_sequences` of them; the same seed gives the same texts.

    Raises UserError (2, 78) for a model that cannot generate, and for settings that do not go together.
    """
    check_prompts(model, prompts, settings)
    model = stopping_at_turn_end(model, settings.layout)
    encoded = [encode_prompt(model, prompt, settings) for prompt in prompts]
    return continue_prompts(model, encoded, settings, seed=seed, stop=stop, stream=stream)


def continue_prompts(model: Model, prompts: Sequence[tuple[Sequence[int], int]], settings: Generation, *, seed: int,
                     stop: Sequence[str] = (), stream: Callable[[str], None] | None = None,
                     new_text_penalties: bool = False) -> list[list[GeneratedText]]:
    """The same after prompts that are encoded already: their ids, and how many tokens of each were cut.

    With `new_text_penalties` the penalties for repeating look at the new text alone, so that it may repeat the prompt's
    words.
    """
    import torch

    if model.module.training:
        model.module.eval()
    model = family_inputs.for_generation(model, settings)
    order = sorted(range(len(prompts)), key=lambda index: len(prompts[index][0]))
    generations: list[list[GeneratedText]] = [[] for _ in prompts]
    start = 0
    batch_size = 1 if settings.prompt_lookup_num_tokens else settings.batch_size  # proposals are of one text
    while start < len(order):
        indices = [index for index in order[start:start + batch_size]
                   if model.info.family.left_pads or len(prompts[index][0]) == len(prompts[order[start]][0])]
        with seeded(settings.do_sample, seed * 1_000_003 + start), torch.inference_mode(), quiet():
            rows = generate_batch(model, [prompts[index][0] for index in indices], settings, stop, stream,
                                  new_text_penalties=new_text_penalties)
            for prompt_index, sequences in zip(indices, rows, strict=True):
                ids, cut_tokens = prompts[prompt_index]
                generations[prompt_index] = [generated_text(model, ids, new_ids, values, stop, cut_tokens)
                                             for new_ids, values in sequences]
        start += len(indices)
    return generations


def check_prompts(model: Model, prompts: Sequence[str], settings: Generation) -> None:
    """Refuse prompts and settings that the model cannot generate from; raises UserError."""
    if not family_inputs.can_generate(model.info, model.head):
        raise UserError(f"{model.info.reference} has a {model.head} head; it generates no text.",
                        fix="Choose a language model.")
    check_decoding(model.info, settings)
    vocab = model.tokenizer.hf_tokenizer.get_vocab() if model.info.family.control_codes else None
    family_inputs.check_prompts(model.info, prompts, settings, vocab)
    if has_position_limit(model) and settings.max_new_tokens >= max_total_tokens(model):
        raise UserError(f"generation.max_new_tokens is {settings.max_new_tokens:,}, but {model.info.reference} takes "
                        f"{max_total_tokens(model):,} tokens in all, the prompt included.",
                        fix=f"Ask for fewer than {max_total_tokens(model):,}, or for -1: as many as fit.",
                        exit=Exit.SETTINGS)


def check_decoding(info: ModelInfo, settings: Generation) -> None:
    """Refuse decoding settings that do not go together; raises UserError (78)."""
    diverse_beams.check(settings)
    contrastive_search.check(info, settings)
    prompt_lookup.check(info, settings)


def rows_per_prompt(model: Model, settings: Generation) -> int:
    """How many rows go through the model for each prompt."""
    candidates = contrastive_search.candidate_count(model, settings) if settings.penalty_alpha else 1
    return max(settings.num_beams, settings.num_return_sequences, candidates)


def generate_batch(model: Model, prompts: Sequence[Sequence[int]], settings: Generation, stop: Sequence[str],
                   stream: Callable[[str], None] | None, *, new_text_penalties: bool = False,
                   diversity: diverse_beams.HammingDiversity
                   | None = None) -> list[list[tuple[list[int], list[float] | None]]]:
    """The new ids after each prompt of a batch, padded on the left, with log p of each where they came one by one.

    `diversity` keeps a group of beams away from the tokens of earlier groups.
    """
    width = max(map(len, prompts))
    if settings.num_beam_groups > 1:
        group_beams = settings.num_beams // settings.num_beam_groups
        group_diversity = diverse_beams.HammingDiversity(len(prompts), group_beams, width, settings.diversity_penalty,
                                                         end_token_ids(model))
        return diverse_beams.search_groups(settings, group_diversity, lambda group_settings, diversity: generate_batch(
            model, prompts, group_settings, stop, None, new_text_penalties=new_text_penalties, diversity=diversity))
    max_new_tokens = new_token_limit(model, settings, width)
    if max_new_tokens <= 0:
        return [[([], [])] * settings.num_return_sequences for _ in prompts]
    check_memory(model, rows=len(prompts) * rows_per_prompt(model, settings), tokens=width + max_new_tokens)
    ids, mask = padded_prompts(prompts, model.tokenizer.pad_id)
    library_settings = without_penalties(settings) if new_text_penalties else settings
    processors: list[Any] = [NewTextPenalties(settings, width)] if library_settings != settings else []
    processors += [] if diversity is None else [diversity.penalize]
    is_incremental = settings.num_beams == 1 and not (settings.penalty_alpha or settings.prompt_lookup_num_tokens)
    with LogProbabilityRecorder(model.module) as recorder:
        output_ids: Tensor = model.module.generate(
            input_ids=ids.to(model.device), attention_mask=mask.to(model.device),
            generation_config=generation_config(model, library_settings, max_new_tokens),
            logits_processor=[*([recorder] if is_incremental else []), *processors],
            synced_gpus=False, **library_arguments(model, prompts, settings, stop, stream, diversity))
    row_log_probabilities: Sequence[list[float] | None] = recorder.rows(output_ids[:, -1]) if is_incremental else [
        None] * len(output_ids)
    rows = list(zip(output_ids[:, width:].tolist(), row_log_probabilities, strict=True))
    return [rows[start:start + settings.num_return_sequences]
            for start in range(0, len(rows), settings.num_return_sequences)]


def padded_prompts(prompts: Sequence[Sequence[int]], pad_id: int) -> tuple[Tensor, Tensor]:
    """The ids of prompts padded on the left, and their mask: (P, S) each."""
    import torch

    width = max(map(len, prompts))
    ids = torch.full((len(prompts), width), pad_id)
    mask = torch.zeros_like(ids)
    for row, prompt in enumerate(prompts):
        ids[row, width - len(prompt):] = torch.tensor(prompt)
        mask[row, width - len(prompt):] = 1
    return ids, mask


def library_arguments(model: Model, prompts: Sequence[Sequence[int]], settings: Generation, stop: Sequence[str],
                      stream: Callable[[str], None] | None,
                      diversity: diverse_beams.HammingDiversity | None) -> dict[str, Any]:
    """The arguments of the library's generate beside prompts, config and logits processors."""
    arguments: dict[str, Any] = {}
    if stream is not None and len(prompts) == settings.num_beams == 1:
        arguments["streamer"] = Stream(model, stream, prompts[0])
    if settings.penalty_alpha:
        arguments |= contrastive_search.generate_arguments(model, settings, arguments.pop("streamer", None))
    if stop:
        arguments["stopping_criteria"] = [StopStrings(functools.partial(continuation_text, model), prompts, stop)]
    if diversity is not None:
        arguments["stopping_criteria"] = [*arguments.get("stopping_criteria", []), diversity.record]
    return arguments


def new_token_limit(model: Model, settings: Generation, prompt_length: int) -> int:
    """The most new tokens after prompts of this length."""
    free_positions = max_total_tokens(model) - prompt_length
    if settings.max_new_tokens == -1:
        return free_positions
    return min(settings.max_new_tokens, free_positions) if has_position_limit(model) else settings.max_new_tokens


def generation_config(model: Model, settings: Generation, max_new_tokens: int) -> Any:
    """Our settings as the library's GenerationConfig."""
    from transformers import GenerationConfig

    sampling: dict[str, Any] = {"temperature": settings.temperature, "top_k": settings.top_k, "top_p": settings.top_p,
                                "typical_p": settings.typical_p,
                                "min_p": settings.min_p or None} if settings.do_sample else {}
    beams: dict[str, Any] = {"length_penalty": settings.length_penalty,
                             "early_stopping": False} if settings.num_beams > 1 else {}
    config_class: Any = GenerationConfig
    return config_class(
        max_new_tokens=max_new_tokens, min_new_tokens=min(settings.min_new_tokens, max_new_tokens) or None,
        do_sample=settings.do_sample,
        num_beams=contrastive_search.candidate_count(model, settings) if settings.penalty_alpha else settings.num_beams,
        num_return_sequences=settings.num_return_sequences, repetition_penalty=settings.repetition_penalty,
        no_repeat_ngram_size=settings.no_repeat_ngram_size,
        prompt_lookup_num_tokens=settings.prompt_lookup_num_tokens or None, pad_token_id=model.tokenizer.pad_id,
        eos_token_id=end_token_ids(model) or None,
        bos_token_id=model.tokenizer.start_id, use_cache=True, **sampling, **beams)


def generated_text(model: Model, prompt: Sequence[int], new_ids: Sequence[int],
                   token_log_probabilities: Sequence[float] | None,
                   stop: Sequence[str], cut_tokens: int) -> GeneratedText:
    """New ids as text: without what follows the end token, cut exactly before the first stop string."""
    end_ids = set(end_token_ids(model))
    length = next((position for position, token in enumerate(new_ids) if token in end_ids), len(new_ids))
    finish_reason = "end" if length < len(new_ids) else "length"
    ids = list(new_ids[:length])
    text = continuation_text(model, prompt, ids)
    stop_starts = [text.find(stop_string) for stop_string in stop if stop_string in text]
    if stop_starts:
        text, finish_reason = text[:min(stop_starts)], "stop"
        ids = ids[:next(size for size in range(len(ids) + 1)
                        if len(continuation_text(model, prompt, ids[:size])) >= len(text))]
        length = len(ids)
    values = log_probabilities(model, prompt,
                               ids) if token_log_probabilities is None else token_log_probabilities[:length]
    return GeneratedText(text, tuple(ids), tuple(values), finish_reason, cut_tokens)


def continuation_text(model: Model, prompt: Sequence[int], new_ids: Sequence[int]) -> str:
    """New ids as the text that follows the prompt, with the blank between them where there is one."""
    def decode(ids: Sequence[int]) -> str:
        text: str = model.tokenizer.hf_tokenizer.decode(list(ids), skip_special_tokens=True,
                                                        clean_up_tokenization_spaces=False)
        return text

    prompt_text = decode(prompt[-CONTEXT_TOKENS:])
    full_text = decode([*prompt[-CONTEXT_TOKENS:], *new_ids])
    return full_text[len(prompt_text):] if full_text.startswith(prompt_text) and not prompt_text.endswith(
        "\ufffd") else decode(new_ids)


def log_probabilities(model: Model, prompt: Sequence[int], new_ids: Sequence[int]) -> list[float]:
    """log p of each new token under the model as it is, without temperature or penalties."""
    if not new_ids:
        return []
    ids = [*prompt, *new_ids]
    label_positions = list(range(len(prompt) - 1, len(ids) - 1))
    feature = Feature(ids, [0] * len(ids), {"label": Target(list(new_ids), "position")},
                      label_positions=label_positions)
    batch = collate([feature], Layout(packed=model.can_pack))
    if model.info.family.heads[model.head].scores_stepwise:
        return log_probabilities_stepwise(model, prompt, new_ids)
    values: list[float] = (-model.surprisals(batch)["surprise"]).tolist()
    return values


def log_probabilities_stepwise(model: Model, prompt: Sequence[int], new_ids: Sequence[int]) -> list[float]:
    """The same of a model without a cache: every step reads all tokens again."""
    import torch

    values = []
    for position, token in enumerate(new_ids):
        ids = torch.tensor([[*prompt, *new_ids[:position]]], device=model.device)
        scores = model.module(**model.module.prepare_inputs_for_generation(ids)).logits[0, -1]
        values.append(float(scores.float().log_softmax(-1)[token]))
    return values


class Stream:
    """Hands text on while it is generated, whole characters at a time."""

    def __init__(self, model: Model, on_text: Callable[[str], None], prompt_ids: Sequence[int]) -> None:
        self.model, self.on_text, self.prompt_ids = model, on_text, prompt_ids
        self.ids: list[int] = []
        self.emitted, self.awaits_prompt = "", True

    def put(self, ids: Any) -> None:
        """The prompt first, then each new token."""
        if self.awaits_prompt:
            self.awaits_prompt = False
            return
        self.ids += ids.reshape(-1).tolist()
        self.emit(is_last=False)

    def end(self) -> None:
        """Nothing more comes."""
        self.emit(is_last=True)

    def emit(self, *, is_last: bool) -> None:
        """Hand on the text that is new; half a character, and all after it, waits: with what follows it may read
        otherwise.
        """
        text = continuation_text(self.model, self.prompt_ids, self.ids)
        if not is_last:
            text = text.partition("\ufffd")[0]
        if text.startswith(self.emitted) and text != self.emitted:
            self.on_text(text[len(self.emitted):])
            self.emitted = text
