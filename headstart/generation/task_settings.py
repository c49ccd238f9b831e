"""What a generative task learns of its model: the prefix of a source, how long a target may get, the generation
settings.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from headstart import settings
from headstart.contract import Json, Learned, Task
from headstart.data.features.features import Features
from headstart.errors import Exit, UserError
from headstart.generation.encoder_decoder import check_length, generate_targets, generation_settings, truncate_at_stop
from headstart.generation.generate import check_decoding
from headstart.generation.prompts import LAYOUT_WORDS, choose_layout, stopping_at_turn_end
from headstart.models.encoder_decoder import EncoderDecoderModel
from headstart.models.model import Model
from headstart.progress import Reporter
from headstart.settings import PROMPT_SETTINGS, Generation, build_generation
from headstart.tasks.shared.prompt_layout import Turn, layout_of, learned_layout, learns_prompts, prompt_ids
from headstart.tasks.shared.sequence_to_sequence import with_config_prefix

TARGET_COVERAGE = 0.995  # share of the training targets that must fit whole
LENGTH_MULTIPLE = 8


def with_source_prefix(task: Task[Any], model: Model, reporter: Reporter) -> Task[Any]:
    """The task with the text that the model's config wants before each source."""
    prefixed = with_config_prefix(task, model.info.config)
    if prefixed is not task and prefixed.learned.values["prefix"]:
        reporter.info(f"prefix of each source: {prefixed.learned.values['prefix']!r}, from the model's config")
    return prefixed


def with_target_length(task: Task[Any], model: Model, features: Features, generation: Generation,
                       reporter: Reporter) -> Task[Any]:
    """The task with its generation settings: the user's, with the length that training targets need."""
    if not task.generative and not learns_prompts(task):
        return task
    check_decoding(model.info, generation)
    with_length = generation
    cut_targets = sum("target_cut" in features[index].info for index in range(len(features)))
    if cut_targets:
        reporter.info(f"{cut_targets:,} of {len(features):,} training targets are longer than the target length; "
                      "they are truncated")
    if generation.max_new_tokens != Generation().max_new_tokens:
        check_length(model, generation.max_new_tokens)
    else:
        target_lengths = np.asarray([len(features[index].targets["label"].value) for index in range(len(features))])
        max_new_tokens = int(-(-int(np.quantile(target_lengths, TARGET_COVERAGE, method="higher")) // LENGTH_MULTIPLE)
                             * LENGTH_MULTIPLE)
        with_length = dataclasses.replace(generation, max_new_tokens=max_new_tokens)
        reporter.info(f"texts are generated up to {max_new_tokens} tokens: {TARGET_COVERAGE:.1%} of the training "
                      f"targets fit (half have at most {int(np.median(target_lengths))})")
    changed = {name: value for name, value in vars(with_length).items() if value != getattr(Generation(), name)}
    return task.with_learned(task.learned.with_value("generation", changed))


def with_prompt_layout(task: Task[Any], model: Model, reporter: Reporter) -> Task[Any]:
    """The task with the layout of its prompts, which the artifact records; the model's texts end where a turn does.

    Raises UserError (65, 69, 77) for a chat template that cannot be used.
    """
    if task.generative or learned_layout(task) != "prompt":
        return task
    layout = layout_of(task.with_learned(Learned()), model.tokenizer)
    if layout == "chat":
        model.module.generation_config = stopping_at_turn_end(model, layout).module.generation_config
    ids = prompt_ids([Turn("user", "PROMPT")], model.tokenizer, layout)
    text = model.tokenizer.hf_tokenizer.decode(ids, clean_up_tokenization_spaces=False)
    reporter.info(f"prompts are laid out {LAYOUT_WORDS[layout]}: {text!r}, then the response")
    return task.with_learned(task.learned.with_value("layout", layout))


def prompt_settings(task: Task[Any], base: Generation | None, values: Mapping[str, Any]) -> Generation:
    """The settings of a model that continues prompts: `base`, else those of its run, with some changed ({"num_beams":
    4}), and the layout that is used. Raises UserError (2, 69, 78).
    """
    saved = task.learned.values.get("generation") or {} if learns_prompts(task) else {}
    new_settings = build_generation(None, values)
    changed = dataclasses.replace(base or Generation(**saved),
                                  **{name: getattr(new_settings, name) for name in values})
    return dataclasses.replace(changed, layout=choose_layout(task, changed))


def with_layout(task: Task[Any], model: Model, layout: str) -> Task[Any]:
    """The task that lays its prompts out so, instead of as it was trained; raises UserError (78)."""
    if layout == "auto":
        return task
    if layout == "raw":
        raise UserError("generation.layout is raw, but rows of prompts are laid out by prompt or chat.",
                        fix="headstart generate continues a prompt as it is.", exit=Exit.SETTINGS)
    if layout == "chat" and not model.tokenizer.chat.has_template:
        raise UserError(f"The tokenizer of {model.info.reference} has no chat template.",
                        fix="Leave generation.layout out.", exit=Exit.SETTINGS)
    return task.with_learned(task.learned.with_value("layout", layout))


def changed_settings(task: Task[Any], model: Model, base: Generation | None, values: Mapping[str, Any]) -> Generation:
    """The settings that a model generates by (`base`, else its own), with some changed (`generation.num_beams`: 4).

    Raises UserError (2, 78).
    """
    if not task.generates(["prompt"]):
        raise UserError(f"{task.name} generates no text: there is nothing that {next(iter(values))} could change.",
                        fix="Leave it out.")
    new_settings = settings.build(dict(values))["generation"]
    names = [key.removeprefix("generation.") for key in values]
    model_settings = base or generation_settings(model, task.learned.values.get("generation") or {})
    if foreign := [name for name in names if model.generates_from_source and name in PROMPT_SETTINGS
                   and getattr(new_settings, name) != getattr(Generation(), name)]:
        raise UserError(f"generation.{foreign[0]} is for models that continue a prompt; {model.info.reference} is an "
                        "encoder-decoder.",
                        fix="Leave it out." + (" Languages are data.language and data.target_language."
                                               if "language" in foreign else ""),
                        exit=Exit.SETTINGS)
    if "max_new_tokens" in names:
        check_length(model, new_settings.max_new_tokens)
    # Contrastive search replaces the beams that the model's own settings ask for.
    without_beams = {"num_beams": 1, "num_return_sequences": 1} if new_settings.penalty_alpha else {}
    changed = dataclasses.replace(model_settings, **without_beams
                                  | {name: getattr(new_settings, name) for name in names})
    check_decoding(model.info, changed)
    return changed


def target_rows(task: Task[Any], model: EncoderDecoderModel, sources: Sequence[str], settings: Generation | None,
                overrides: Mapping[str, Any], *, seed: int, stop: Sequence[str] = (),
                base: Generation | None = None) -> list[dict[str, Json]]:
    """What an encoder-decoder generates for each source, in the form of Model.generate; by `base`, else the model's
    own settings, unless changed.
    """
    changed = {f"generation.{name}": value for name, value in overrides.items()}
    if settings is not None:
        changed = {f"generation.{name}": value for name, value in vars(settings).items()
                   if value != getattr(Generation(), name)} | changed
    saved = task.learned.values.get("generation") or {}
    model_settings = (changed_settings(task, model, base, changed) if changed
                      else base or generation_settings(model, saved))
    prefix, tokenizer = str(task.learned.values.get("prefix", "")), model.tokenizer
    rows = [list(tokenizer.tokenize(prefix + source).ids) for source in sources]
    max_length = tokenizer.max_content_length(1)
    generations = generate_targets(model, [tokenizer.with_special_tokens(ids[:max_length])[0] for ids in rows],
                                   model_settings, seed=seed)
    return [{"prompt": source, "prediction": generated.text, "log_probability": sum(generated.log_probabilities),
             "tokens": [{"token": piece, "log_probability": value} for piece, value in
                        zip(tokenizer.pieces(generated.ids), generated.log_probabilities, strict=True)],
             "ended": generated.finish_reason, "cut_tokens": max(0, len(ids) - max_length)}
            for source, ids, texts in zip(sources, rows, generations, strict=True)
            for generated in (truncate_at_stop(model, target, stop) for target in texts)]
