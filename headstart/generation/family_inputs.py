"""What is peculiar to how some families write: what stands before a prompt, languages, control codes, positions.

B prompts, S tokens.
"""

from __future__ import annotations

import contextlib
import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from headstart.errors import Exit, UserError, nearest
from headstart.models.loading.languages import chosen, languages
from headstart.settings import Generation

if TYPE_CHECKING:
    from headstart.models.loading.model_info import Facts
    from headstart.models.model import Model

AUTO, NONE = "auto", "none"
WRITES = "causal-language-model"


def refuse_unfit(facts: Facts) -> None:
    """Refuse a model that cannot write, before its weights are read; raises UserError (2)."""
    from headstart.models.loading.catalogue import CATALOGUE
    from headstart.models.loading.load import trained_head

    if facts.row.rewrite is not None:
        return
    kind = trained_head(facts)
    if WRITES in facts.row.heads and (facts.row.kinds[0] == "decoder" or can_write(facts, kind)):
        return
    able = ", ".join(row.family for row in CATALOGUE if WRITES in row.heads and row.kinds[0] == "decoder")
    taught = " or teach it: headstart finetune FILE --task language-model;" if WRITES in facts.row.heads else ""
    raise UserError(f"{facts.reference} ({facts.family}) cannot write: it sees both sides of every token.",
                    fix=f"Choose a model of: {able};{taught} for hidden words use headstart predict with a masked language model.")


def can_write(facts: Facts, kind: str | None) -> bool:
    """Whether a head kind of this family goes on with a text."""
    return kind is not None and (facts.row.heads[kind].continues or facts.row.heads[kind].by_mask)


def refuse_prompts(facts: Facts, prompts: Sequence[str], settings: Generation, pieces: Mapping[str, int] | None = None) -> None:
    """Refuse an unknown language and prompts without a control code, before weights are read; raises UserError (2, 78).

    `pieces` is the vocabulary, where the tokenizer has been read already.
    """
    language_id(facts, settings.language)
    if facts.row.codes and pieces is None:
        pieces = vocabulary(facts)
    known = [code for code in facts.row.codes if pieces is not None and code in pieces]
    if settings.control_code not in ("", NONE) and not facts.row.codes:
        raise UserError(f"{facts.reference} ({facts.family}) has no control codes.", fix="Leave generation.control_code out.",
                        exit=Exit.SETTINGS)
    if not known or settings.control_code == NONE:
        return
    for prompt in [settings.control_code] if settings.control_code else prompts:
        first = (re.findall(r"\w+", prompt) or [""])[0]
        if first not in known or not prompt.lstrip().startswith(first):
            near = nearest(first, known) or nearest(first.capitalize(), known)
            raise UserError(f"A prompt for {facts.reference} begins with a control code, but {prompt[:40]!r} begins with {first!r}"
                            f"{f'; did you mean {near}?' if near else '.'}",
                            fix=f"Begin it with one of {', '.join(sorted(known))}, or pass --set generation.control_code=Links "
                            "(none: write without one).")


def vocabulary(facts: Facts) -> dict[str, int]:
    """The pieces of a model's tokenizer, read without its weights."""
    from headstart.models.tokenizers.tokenizer import load_tokenizer

    found: dict[str, int] = load_tokenizer(str(facts.folder), facts.unnamed).get_vocab()
    return found


def language_id(facts: Facts, name: str | None) -> int | None:
    """The number of the language to write in; None for a model of one. Raises UserError (2, 78): not given, unknown."""
    known, name = languages(facts), chosen(facts, name)
    if known and name is None:
        raise UserError(f"{facts.reference} writes in several languages, and none was chosen.",
                        fix=f"Pass --set generation.language=…, one of {', '.join(known)}.")
    return None if name is None else known[name]


def before(model: Model, settings: Generation) -> list[int]:
    """The ids of what is read before every prompt, and left out of what is written."""
    row = model.facts.row
    text = row.passage if settings.passage == AUTO else "" if settings.passage == NONE else settings.passage
    found: list[int] = list(model.tokenizer.tokenize(text).ids) if text else []
    return found


def opened(model: Model, prompt: str, settings: Generation) -> str:
    """A prompt with the control code that was chosen for all."""
    return prompt if settings.control_code in ("", NONE) else f"{settings.control_code} {prompt}".rstrip()


def advice(facts: Facts, settings: Generation) -> str | None:
    """A word about settings that suit a family badly."""
    low = settings.temperature <= 0.7 and settings.repetition_penalty > 1
    return facts.row.advice if facts.row.advice and settings.sample and not low else None


@contextlib.contextmanager
def habitual(model: Model, settings: Generation) -> Iterator[None]:
    """For a while the model's own way to lay out each step is the family's right one.

    RoBERTa counts positions from padding_idx + 1, while the library's steps count from 0. A causal XLM reads the scores of
    the next word at the last one; the library appends a mask, which such a model never saw there. An XLM that hides words
    has its own mask appended.
    """
    module, row = model.module, model.facts.row
    step = module.prepare_inputs_for_generation
    offset = row.position_offset(module.config)
    language = language_id(model.facts, settings.language)

    @functools.wraps(step)
    def prepared(input_ids: Any, *given: Any, **named: Any) -> dict[str, Any]:
        """The inputs of one step."""
        if row.model_type == "xlm":
            return xlm_step(model, input_ids, language)
        made: dict[str, Any] = step(input_ids, *given, **named)
        if offset and made.get("position_ids") is not None:
            made["position_ids"] = made["position_ids"] + offset
        return made

    if row.model_type != "xlm" and not offset:
        yield
        return
    module.prepare_inputs_for_generation = prepared
    try:
        yield
    finally:
        del module.prepare_inputs_for_generation


def xlm_step(model: Model, ids: Any, language: int | None) -> dict[str, Any]:
    """The inputs of one step of an XLM: (B, S), with a mask at the end where it sees both sides."""
    import torch

    if model.facts.row.heads[model.head].by_mask:
        ids = torch.nn.functional.pad(ids, (0, 1), value=model.tokenizer.mask_id)
    return {"input_ids": ids, "langs": None if language is None else torch.full_like(ids, language)}
