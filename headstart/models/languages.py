"""The languages that a model of several tells apart by an embedding of its own (XLM)."""

from __future__ import annotations

from headstart.errors import Exit, UserError, nearest
from headstart.models.facts import Facts

KEY = "language"  # of config.json: the name of the language that a model was trained on


def languages(facts: Facts) -> dict[str, int]:
    """The languages by name, in the order of their numbers; {} for a model that tells none apart."""
    held = facts.config.get("lang2id") or {}
    several = int(facts.config.get("n_langs") or 1) > 1 and facts.config.get("use_lang_emb", True)
    return {str(name): int(number) for name, number in sorted(held.items(), key=lambda pair: int(pair[1]))} if several else {}


def chosen(facts: Facts, name: str | None) -> str | None:
    """The language that is asked for, else the one that the model was trained on; raises UserError (78) for an unknown one."""
    known = languages(facts)
    name = name or (facts.config.get(KEY) if known else None)
    if name is not None and name not in known:
        near = nearest(name, known)
        raise UserError(f"{facts.reference} tells no language {name!r} apart{f'; did you mean {near}?' if near else '.'}",
                        fix=f"Its languages: {', '.join(known)}." if known else "Leave the language out.", exit=Exit.SETTINGS)
    return name


def words(facts: Facts, name: str | None) -> str | None:
    """What a user should know when a model of several languages reads without one; None when there is nothing to say."""
    known = languages(facts)
    if not known or chosen(facts, name) is not None:
        return None
    return f"no language chosen of {', '.join(known)}: its language embeddings are left out (--set data.language=…)"
