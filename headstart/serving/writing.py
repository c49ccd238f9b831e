"""Texts that a model writes: a prompt as tokens, the settings of a request, and the work of the engine's thread."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from headstart.contract import Json
from headstart.generation import family_inputs
from headstart.generation.encoder_decoder import check_length, generate_targets, generation_settings, truncate_at_stop
from headstart.generation.generate import GeneratedText, check_prompts, continue_prompts
from headstart.generation.prompts import encode_prompt, fit_prompt, max_total_tokens, stopping_at_turn_end
from headstart.generation.task_settings import changed_settings
from headstart.models.encoder_decoder import EncoderDecoderModel
from headstart.serving.refusal import Refusal
from headstart.serving.served_model import ServedModel, Work
from headstart.settings import Generation
from headstart.tasks.shared.prompt_layout import Turn, learned_layout, prompt_ids

SERIAL_NUMBERS = itertools.count(1)


@dataclass(frozen=True)
class Writing(Work):
    """Texts after encoded prompts. Greedy ones of equal settings share batches; a sampled or streamed one goes alone
    (`serial`), as what shares its batch would change its random numbers.
    """

    transformer: Any = field(compare=False)
    settings: Generation
    stop: tuple[str, ...] = ()
    seed: int = 0
    serial: int = 0
    stream: Callable[[str], None] | None = field(default=None, compare=False)

    def compute(self, units: Sequence[Sequence[int]]) -> list[list[GeneratedText]]:
        """The texts after each prompt."""
        if isinstance(self.transformer, EncoderDecoderModel):
            written_texts = generate_targets(self.transformer, units, self.settings, seed=self.seed)
            return [[truncate_at_stop(self.transformer, text, self.stop) for text in texts] for texts in written_texts]
        return continue_prompts(stopping_at_turn_end(self.transformer, self.settings.layout),
                                [(ids, 0) for ids in units], self.settings, seed=self.seed, stop=self.stop,
                                stream=self.stream)

    def alone(self, **changes: Any) -> Writing:
        """The same in batches of its own."""
        return dataclasses.replace(self, serial=next(SERIAL_NUMBERS), **changes)


def writes(served: ServedModel) -> bool:
    """Whether the model writes texts."""
    transformer = served.model.transformer
    if isinstance(transformer, EncoderDecoderModel):
        return True
    return (transformer.info.family.kinds[0] == "decoder"
            and family_inputs.can_generate(transformer.info, transformer.head))


def chat_layout(served: ServedModel) -> str | None:
    """How a conversation is laid out: as the run was trained, else by the chat template; None where neither is."""
    transformer = served.model.transformer
    if not writes(served) or isinstance(transformer, EncoderDecoderModel):
        return None
    learned = learned_layout(served.model.task)
    if learned not in (None, "raw"):
        return learned
    return "chat" if transformer.tokenizer.chat.has_template else None


def request_settings(served: ServedModel, changes: Mapping[str, Json], layout: str | None = None) -> Generation:
    """The model's own settings with those of a request; raises UserError (2, 78)."""
    model = served.model
    if isinstance(model.transformer, EncoderDecoderModel):
        saved = model.task.learned.values.get("generation") or {}
        if not changes:
            return model.generation or generation_settings(model.transformer, saved)
        if "max_new_tokens" in changes:
            check_length(model.transformer, int(changes["max_new_tokens"]))
        return changed_settings(model.task, model.transformer, model.generation,
                                {f"generation.{name}": value for name, value in changes.items()})
    return model.prompt_settings(dict(changes) | ({} if layout is None else {"layout": layout}))


def encode_prompts(served: ServedModel, prompts: Sequence[str], settings: Generation) -> list[list[int]]:
    """Prompts as ids; raises Refusal (422) for one that does not fit, and UserError."""
    transformer = served.model.transformer
    if isinstance(transformer, EncoderDecoderModel):
        prefix, tokenizer = str(served.model.task.learned.values.get("prefix") or ""), transformer.tokenizer
        rows = [list(tokenizer.tokenize(prefix + prompt).ids) for prompt in prompts]
        most = tokenizer.max_content_length(1)
        for ids in rows:
            refuse_cut(max(0, len(ids) - most), most)
        return [tokenizer.with_special_tokens(ids)[0] for ids in rows]
    check_prompts(transformer, prompts, settings)
    return [uncut(served, encode_prompt(transformer, prompt, settings), settings) for prompt in prompts]


def encode_chat(served: ServedModel, turns: Sequence[Turn], settings: Generation) -> list[int]:
    """A conversation as ids, up to where the answer begins; raises Refusal (422) and UserError."""
    transformer = served.model.transformer
    check_prompts(transformer, [turn.content for turn in turns[:1]], settings)
    ids = prompt_ids(turns, transformer.tokenizer, "chat" if settings.layout == "chat" else "prompt")
    return uncut(served, fit_prompt(transformer, ids, settings), settings)


def uncut(served: ServedModel, encoded: tuple[Sequence[int], int], settings: Generation) -> list[int]:
    """The ids of a prompt that fits whole; raises Refusal (422)."""
    ids, cut = encoded
    refuse_cut(cut, max_total_tokens(served.model.transformer) - max(1, settings.max_new_tokens))
    return list(ids)


def refuse_cut(cut: int, most: int) -> None:
    """Refuse a prompt whose beginning would be lost; raises Refusal (422)."""
    if cut > 0:
        raise Refusal(422, f"The prompt has {most + cut:,} tokens; {most:,} at most fit beside what is written.",
                      "Send a shorter one, or ask for fewer tokens (max_tokens).", "prompt", "context_length_exceeded")


class StopFilter:
    """Pieces of a text as they may be shown: nothing of a stop text, however it is cut into pieces."""

    def __init__(self, stop: Sequence[str]) -> None:
        self.stop, self.waiting, self.shown_text = stop, "", ""
        self.has_ended = False

    def feed(self, piece: str) -> str:
        """What may be shown now."""
        if self.has_ended:
            return ""
        self.waiting += piece
        starts = [self.waiting.find(text) for text in self.stop if text in self.waiting]
        if starts:
            self.has_ended = True
            return self.show(min(starts))
        open_lengths = [length for text in self.stop for length in range(1, len(text))
                        if self.waiting.endswith(text[:length])]
        return self.show(len(self.waiting) - max(open_lengths, default=0))

    def show(self, length: int) -> str:
        """The beginning of what waits."""
        piece, self.waiting = self.waiting[:length], self.waiting[length:]
        self.shown_text += piece
        return piece

    def rest(self, text: str) -> str:
        """What is left to show of the whole text."""
        return text[len(self.shown_text):] if text.startswith(self.shown_text) else ""
