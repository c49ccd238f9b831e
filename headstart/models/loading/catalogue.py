"""The families that headstart knows, and the names of their checkpoints."""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping
from typing import Any

from headstart.errors import Exit, UserError, nearest
from headstart.models.families import families
from headstart.models.family import Family

FAMILIES, UNUSABLE = families()
CATALOGUE: tuple[Family, ...] = tuple(FAMILIES.values())


RARE_HEADS = {  # why heads of one or two families are missing in the others
    "question-answering-beams": "its span head predicts one start and one end; no beam span head was published for it",
    "embedding": "texts are compared by encoders of BERT's kind here",
    "replaced-token": "it was not trained to detect replaced tokens",
}


UNSUPPORTED = {  # families that are known and not supported, and why
    "fsmt": "its two vocabularies and word-level tokenizer are like no other family's; Marian has most of its pairs of "
            "languages",
    "m2m_100": "its tokenizer and its positions are like no other family's; mBART has most of its languages",
}


def family_of(config: Mapping[str, Any], reference: str) -> Family:
    """The family of a config; those from before 2020 have no model_type, but often the class that saved them.

    Raises UserError (69).
    """
    if config.get("model_type"):
        return find(str(config["model_type"]), reference)
    prefix = class_prefix(str((config.get("architectures") or [""])[0]))
    for family in CATALOGUE:
        if prefix and prefix in {class_prefix(head.cls) for head in family.heads.values()}:
            return find(family.model_type, reference)
    raise UserError(f"config.json of {reference} names no model_type (as before 2020) and no class that headstart "
                    "knows.",
                    fix='Write the family into it, for example "model_type": "bert".', exit=Exit.UNAVAILABLE)


def class_prefix(class_name: str) -> str:
    """The family's prefix of a class name: "OpenAIGPT" of OpenAIGPTLMHeadModel."""
    return re.split(r"For[A-Z]|WithLMHead|LMHead|DoubleHeads|Model$", class_name)[0]


def find(model_type: str, reference: str) -> Family:
    """The family of a config's model_type; raises UserError (69) for one that is not supported."""
    if model_type in UNUSABLE:
        raise UNUSABLE[model_type]
    for family in CATALOGUE:
        if family.model_type == model_type:
            if family.custom_class:
                importlib.import_module("headstart.models.register")
            return family
    names = ", ".join(family.name for family in CATALOGUE)
    if model_type in UNSUPPORTED:
        raise UserError(f"{reference} is of the family {model_type!r}, which headstart does not support: "
                        f"{UNSUPPORTED[model_type]}.",
                        fix=f"Choose a model of: {names}.", exit=Exit.UNAVAILABLE)
    suggestion = nearest(model_type, [family.name for family in CATALOGUE]) if model_type else None
    raise UserError(f"{reference} is of the family {model_type or '(none given)'!r}, which headstart does not support"
                    f"{f' (nearest: {suggestion})' if suggestion else ''}.", fix=f"Choose a model of: {names}.",
                    exit=Exit.UNAVAILABLE)


def check_head(family: Family, head: str, reference: str) -> None:
    """Refuse a head that the family cannot have, with the reason and the families that can; raises UserError."""
    if head in family.heads:
        return
    no_head = "a decoder only continues a text" if "decoder" in family.kinds else ""
    reason = family.missing_heads.get(head) or RARE_HEADS.get(head, no_head)
    alternatives = [other_family.name for other_family in CATALOGUE if head in other_family.heads]
    raise UserError(f"{reference} ({family.name}) cannot take a {head} head{f': {reason}' if reason else ''}; "
                    f"it can: {', '.join(family.heads)}.",
                    fix=f"Choose a model of: {', '.join(alternatives)}." if alternatives
                    else "headstart models lists what there is.")


def check_lm_head(family: Family, head: str, reference: str) -> None:
    """Refuse to train choices and language modelling at once where the family has not both heads; raises UserError."""
    if family.heads[head].lm_head is None:
        alternatives = ", ".join(other_family.name for other_family in CATALOGUE
                                 if head in other_family.heads and other_family.heads[head].lm_head is not None)
        raise UserError(f"{reference} ({family.name}) cannot be trained on a language-modelling loss and on choices at "
                        "once: "
                        "it has one head.", fix=f"Leave task.lm_loss_weight out, or choose a model of: {alternatives}.")


def hub_names(reference: str) -> list[str]:
    """A hub name, and its other names: short names of 2020 were moved to their owners."""
    current_names = [family.aliases[reference] for family in CATALOGUE if reference in family.aliases]
    short_names = [short_name for family in CATALOGUE for short_name, hub_name in family.aliases.items()
                   if hub_name == reference]
    return [*current_names, reference, *short_names]
