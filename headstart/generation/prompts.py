"""Prompts of a model that continues a text: how they are laid out, what fits, and which tokens end the answer."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from headstart.contract import Task
from headstart.errors import Exit, UserError
from headstart.generation import family_inputs
from headstart.models.loading.load import max_length_of
from headstart.settings import Generation
from headstart.tasks.shared.prompt_layout import Layout, Turn, learned_layout, prompt_ids, turn_end_id

if TYPE_CHECKING:
    from headstart.models.model import Model

LAYOUT_WORDS = {"raw": "as they are", "prompt": "with a line end after each",
                "chat": "by the tokenizer's chat template"}


def choose_layout(task: Task[Any], settings: Generation) -> Layout:
    """How prompts are laid out: as the settings say, else as the run was trained; raises UserError (69)."""
    return learned_layout(task) or "raw" if settings.layout == "auto" else settings.layout


def layout_text(task: Task[Any], model: Model, settings: Generation) -> str:
    """The layout in words, and what there is beside."""
    layout = choose_layout(task, settings)
    text = f"prompts are read {LAYOUT_WORDS[layout]}"
    if settings.layout == "auto" and learned_layout(task) is not None:
        return f"{text} (generation.layout: {layout}, learned)"
    if layout == "raw" and model.tokenizer.chat.has_template:
        return f"{text}; there is a chat template: --chat uses it"
    return text


def has_position_limit(model: Model) -> bool:
    """Whether the model has a fixed number of positions."""
    return "positions" in model.info.family.size_keys


def max_total_tokens(model: Model) -> int:
    """The most tokens of prompt and text together, however few the model was trained on."""
    return max_length_of(model.info, model.tokenizer, model.module.config)


def encode_prompt(model: Model, prompt: str, settings: Generation) -> tuple[list[int], int]:
    """A prompt as ids, its beginning cut where no positions would be left, and how many tokens were cut.

    Raises UserError (65, 69, 77, 78) where there is no chat template, or none that can be used.
    """
    tokenizer, prompt = model.tokenizer, family_inputs.with_control_code(model, prompt, settings)
    if settings.layout == "chat" and not tokenizer.chat.has_template:
        raise UserError(f"The tokenizer of {model.info.reference} has no chat template.",
                        fix="Leave --chat out (generation.layout).", exit=Exit.SETTINGS)
    if settings.layout in ("prompt", "chat"):
        return fit_prompt(model, prompt_ids([Turn("user", prompt)], tokenizer, settings.layout), settings)
    start_ids = [token for token, _ in tokenizer.single_template[0]]  # what this family begins every text with
    return fit_prompt(model, [*start_ids, *tokenizer.tokenize(prompt).ids], settings,
                      family_inputs.prefix_ids(model, settings))


def fit_prompt(model: Model, ids: Sequence[int], settings: Generation,
               passage: Sequence[int] = ()) -> tuple[list[int], int]:
    """A prompt's ids, its beginning cut where no positions would be left, and how many were cut; a passage before it
    gives way to it.
    """
    ids = list(ids)
    if not ids:
        if model.tokenizer.start_id is None:
            raise UserError("The prompt is empty, and this model has no start token.", fix="Give a prompt.")
        ids = [model.tokenizer.start_id]
    max_tokens = max(1, max_total_tokens(model) - max(1, settings.max_new_tokens))
    if not has_position_limit(model) and settings.max_new_tokens != -1:
        return [*passage, *ids], 0
    free_tokens = max_tokens - len(ids)
    return [*(passage[-free_tokens:] if free_tokens > 0 else ()), *ids[-max_tokens:]], max(0, -free_tokens)


def end_token_ids(model: Model) -> list[int]:
    """Every token that ends a text: the tokenizer's, and those that the published generation config names."""
    config = getattr(model.module, "generation_config", None)
    config_ids = getattr(config, "eos_token_id", None)
    config_end_ids = [] if config_ids is None else config_ids if isinstance(config_ids, list) else [config_ids]
    return sorted({*config_end_ids, *([model.tokenizer.end_id] if model.tokenizer.end_id is not None else [])})


def stopping_at_turn_end(model: Model, layout: str) -> Model:
    """The model with the same weights, whose texts also end where the chat template ends an answer."""
    end_id = turn_end_id(model.tokenizer) if layout == "chat" and model.tokenizer.chat.has_template else None
    config = getattr(model.module, "generation_config", None)
    if end_id is None or config is None or end_id in end_token_ids(model):
        return model
    module = copy.copy(model.module)
    module.generation_config = copy.copy(config)
    module.generation_config.eos_token_id = [*end_token_ids(model), end_id]
    return dataclasses.replace(model, module=module)
