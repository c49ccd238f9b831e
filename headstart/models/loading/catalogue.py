"""The families that headstart knows, and the names of their checkpoints."""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping
from typing import Any

from headstart.errors import Exit, UserError, nearest
from headstart.models.families import families
from headstart.models.family import Family

CATALOGUE: tuple[Family, ...] = tuple(families().values())


ELSEWHERE = {  # why heads that one or two families have are not in the others
    "question-answering-beams": "its answers are one start and one end; no head that follows several starts was published for it",
    "embedding": "texts are compared by encoders of BERT's kind here",
    "replaced-token": "it was not trained to find replaced words",
}


REFUSED = {  # families that are known and not supported, and why
    "fsmt": "its two vocabularies and word-level tokenizer are like no other family's; Marian has most of its pairs of languages",
    "m2m_100": "its tokenizer and its positions are like no other family's; mBART has most of its languages",
}


def family_of(config: Mapping[str, Any], reference: str) -> Family:
    """The family that a config is of; those from before 2020 name no model_type, but often the class that wrote them.

    Raises UserError (69).
    """
    if config.get("model_type"):
        return find(str(config["model_type"]), reference)
    written = stem(str((config.get("architectures") or [""])[0]))
    for family in CATALOGUE:
        if written and written in {stem(head.cls) for head in family.heads.values()}:
            return find(family.model_type, reference)
    raise UserError(f"config.json of {reference} tells no model_type, as those from before 2020, and no class that headstart knows.",
                    fix='Write the family into it, for example "model_type": "bert".', exit=Exit.UNAVAILABLE)


def stem(cls: str) -> str:
    """What a class's name begins with: "OpenAIGPT" of OpenAIGPTLMHeadModel."""
    return re.split(r"For[A-Z]|WithLMHead|LMHead|DoubleHeads|Model$", cls)[0]


def find(model_type: str, reference: str) -> Family:
    """The family of a config's model_type; raises UserError (69) for one that is not supported."""
    for family in CATALOGUE:
        if family.model_type == model_type:
            if family.own:
                importlib.import_module("headstart.models.register")
            return family
    known = ", ".join(family.family for family in CATALOGUE)
    if model_type in REFUSED:
        raise UserError(f"{reference} is of the family {model_type!r}, which headstart does not support: {REFUSED[model_type]}.",
                        fix=f"Choose a model of: {known}.", exit=Exit.UNAVAILABLE)
    near = nearest(model_type, [family.family for family in CATALOGUE]) if model_type else None
    raise UserError(f"{reference} is of the family {model_type or '(none given)'!r}, which headstart does not support"
                    f"{f' (nearest: {near})' if near else ''}.", fix=f"Choose a model of: {known}.", exit=Exit.UNAVAILABLE)


def check_head(family: Family, head: str, reference: str) -> None:
    """Refuse a head that the family cannot carry, with the reason and the families that can; raises UserError."""
    if head in family.heads:
        return
    reason = family.lacks.get(head) or ELSEWHERE.get(head, "" if "decoder" not in family.kinds else "a decoder only goes on with a text")
    others = [one.family for one in CATALOGUE if head in one.heads]
    raise UserError(f"{reference} ({family.family}) cannot carry a {head} head{f': {reason}' if reason else ''}; "
                    f"it can: {', '.join(family.heads)}.",
                    fix=f"Choose a model of: {', '.join(others)}." if others else "headstart models lists what there is.")


def check_words(family: Family, head: str, reference: str) -> None:
    """Refuse to train a model to choose and to write at once where it has not both heads; raises UserError."""
    if family.heads[head].words is None:
        others = ", ".join(one.family for one in CATALOGUE if head in one.heads and one.heads[head].words is not None)
        raise UserError(f"{reference} ({family.family}) cannot learn the words of the right choice beside choosing: it has one head.",
                        fix=f"Leave task.words_share out, or choose a model of: {others}.")


def hub_names(reference: str) -> list[str]:
    """A hub name, and the other names that it goes by: short names of 2020 have new homes."""
    homes = [family.aliases[reference] for family in CATALOGUE if reference in family.aliases]
    short = [old for family in CATALOGUE for old, new in family.aliases.items() if new == reference]
    return [*homes, reference, *short]
