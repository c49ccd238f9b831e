"""What is peculiar to how some families generate: a prefix before prompts, languages, control codes, positions.

B prompts, S tokens.
"""

from __future__ import annotations

import copy
import dataclasses
import functools
import re
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from headstart.errors import Exit, UserError, nearest
from headstart.models.loading.catalogue import CATALOGUE
from headstart.models.loading.languages import ids_by_language, resolve_language
from headstart.models.loading.load import trained_head
from headstart.models.tokenizers.tokenizer import load_tokenizer
from headstart.settings import Generation

if TYPE_CHECKING:
    from headstart.models.loading.model_info import ModelInfo
    from headstart.models.model import Model

AUTO, NONE = "auto", "none"
CAUSAL_LM = "causal-language-model"


def check_model(info: ModelInfo) -> None:
    """Refuse a model that cannot generate text, before its weights are read; raises UserError (2)."""
    if info.family.is_encoder_decoder:
        return
    head = trained_head(info)
    if CAUSAL_LM in info.family.heads and (info.family.kinds[0] == "decoder" or can_generate(info, head)):
        return
    families = ", ".join(family.name for family in CATALOGUE if CAUSAL_LM in family.heads
                         and family.kinds[0] == "decoder")
    finetune_hint = (" or fine-tune this one: headstart finetune FILE --task language-model;"
                     if CAUSAL_LM in info.family.heads else "")
    raise UserError(f"{info.reference} ({info.family_name}) cannot generate text: it sees both sides of every token.",
                    fix=f"Choose a model of: {families};{finetune_hint} for masked words use headstart predict with a "
                        "masked language model.")


def can_generate(info: ModelInfo, head: str | None) -> bool:
    """Whether a model of this family with such a head can continue a text."""
    return head is not None and (info.family.heads[head].causal or info.family.heads[head].fills_masks)


def check_prompts(info: ModelInfo, prompts: Sequence[str], settings: Generation,
                  vocab: Mapping[str, int] | None = None) -> None:
    """Refuse an unknown language and prompts without a control code, before weights are read; raises UserError (2, 78).

    `vocab` is the vocabulary, where the tokenizer has been read already.
    """
    language_id(info, settings.language)
    if info.family.control_codes and vocab is None:
        vocab = vocabulary(info)
    codes = [code for code in info.family.control_codes if vocab is not None and code in vocab]
    if settings.control_code not in ("", NONE) and not info.family.control_codes:
        raise UserError(f"{info.reference} ({info.family_name}) has no control codes.",
                        fix="Leave generation.control_code out.", exit=Exit.SETTINGS)
    if not codes or settings.control_code == NONE:
        return
    for prompt in [settings.control_code] if settings.control_code else prompts:
        first_word = (re.findall(r"\w+", prompt) or [""])[0]
        if first_word not in codes or not prompt.lstrip().startswith(first_word):
            suggestion = nearest(first_word, codes) or nearest(first_word.capitalize(), codes)
            raise UserError(f"A prompt for {info.reference} begins with a control code, but {prompt[:40]!r} begins "
                            f"with {first_word!r}{f'; did you mean {suggestion}?' if suggestion else '.'}",
                            fix=f"Begin it with one of {', '.join(sorted(codes))}, or pass --set "
                                "generation.control_code=Links "
                            "(none: generate without one).")


def vocabulary(info: ModelInfo) -> dict[str, int]:
    """The pieces of a model's tokenizer, read without its weights."""
    vocab: dict[str, int] = load_tokenizer(str(info.folder), info.assumed_model_type).get_vocab()
    return vocab


def language_id(info: ModelInfo, name: str | None) -> int | None:
    """The number of the language to generate; None for a model of one. Raises UserError (2, 78): not given, unknown."""
    language_ids, name = ids_by_language(info), resolve_language(info, name)
    if language_ids and name is None:
        raise UserError(f"{info.reference} has several languages, and none was chosen.",
                        fix=f"Pass --set generation.language=…, one of {', '.join(language_ids)}.")
    return None if name is None else language_ids[name]


def prefix_ids(model: Model, settings: Generation) -> list[int]:
    """The ids of the text that is read before every prompt, and left out of the generated text."""
    family = model.info.family
    text = family.generation_prefix if settings.prefix == AUTO else "" if settings.prefix == NONE else settings.prefix
    ids: list[int] = list(model.tokenizer.tokenize(text).ids) if text else []
    return ids


def with_control_code(model: Model, prompt: str, settings: Generation) -> str:
    """A prompt with the control code of the settings before it."""
    return prompt if settings.control_code in ("", NONE) else f"{settings.control_code} {prompt}".rstrip()


def sampling_hint(info: ModelInfo, settings: Generation) -> str | None:
    """Advice where the sampling settings suit a family badly."""
    is_cautious = settings.temperature <= 0.7 and settings.repetition_penalty > 1
    return info.family.sampling_hint if info.family.sampling_hint and settings.do_sample and not is_cautious else None


def for_generation(model: Model, settings: Generation) -> Model:
    """The model with the same weights, whose `prepare_inputs_for_generation` gives the inputs that it was trained on.

    Its module is a shallow copy, so that no thread sees the hooks and inputs of another. The library's steps count
    positions from 0, where a family may count from another (RoBERTa); a family may have steps of its own (XLM).
    """
    module, family = copy.copy(model.module), model.info.family
    module._forward_hooks = OrderedDict(module._forward_hooks)
    library_inputs = module.prepare_inputs_for_generation
    offset, build_inputs = family.position_offset(module.config), family.step_inputs
    mask_id = model.tokenizer.mask_id if family.heads[model.head].fills_masks else None
    language_number = language_id(model.info, settings.language)

    @functools.wraps(library_inputs)
    def step_inputs(input_ids: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """The inputs of one step."""
        if build_inputs is not None:
            return build_inputs(input_ids, mask_id, language_number)
        inputs: dict[str, Any] = library_inputs(input_ids, *args, **kwargs)
        if offset and inputs.get("position_ids") is not None:
            inputs["position_ids"] = inputs["position_ids"] + offset
        return inputs

    if build_inputs is not None or offset:
        module.prepare_inputs_for_generation = step_inputs
    return dataclasses.replace(model, module=module)
