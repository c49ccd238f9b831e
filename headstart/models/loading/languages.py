"""The languages that a model of several tells apart by an embedding of its own (XLM)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from headstart.errors import Exit, UserError, nearest
from headstart.models.loading.model_info import Facts
from headstart.models.tokenizers.tokenizer import load_tokenizer

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


@dataclass(frozen=True)
class Spoken:
    """The tokenizer of a model that is told by tokens which language it reads and which it writes (mBART)."""

    held: Any
    source: str
    target: str

    def tell(self, module: Any) -> None:
        """Tell the model, in its own files' words, which language its texts begin with.

        mBART's decoder begins with the language; that of its successor (mBART-50) with the end token, then the language.
        """
        token = self.held.convert_tokens_to_ids(self.target)
        self.held._switch_to_target_mode()
        begins = token in self.held.prefix_tokens
        self.held._switch_to_input_mode()
        if begins:
            module.generation_config.forced_bos_token_id = token
        else:
            module.config.decoder_start_token_id = module.generation_config.decoder_start_token_id = token


def spoken(facts: Facts, source: str | None, target: str | None) -> Spoken | None:
    """The languages asked for, else those that the folder was saved with; None for a family that is not told any by tokens.

    Raises UserError (2, 78) for a missing and an unknown one, before weights are read.
    """
    if not facts.row.speaks:
        if target is not None:
            raise UserError(f"{facts.reference} ({facts.family}) is not told which language to write.",
                            fix="Leave data.target_language out.", exit=Exit.SETTINGS)
        return None
    held = load_tokenizer(str(facts.folder), facts.unnamed)
    known = {name: token for name, token in held.lang_code_to_id.items() if token != held.unk_token_id}
    starts = {token: name for name, token in known.items()}
    said = said_in(facts)
    first = starts.get(facts.config.get("forced_bos_token_id") or -1) or starts.get(facts.config.get("decoder_start_token_id") or -1)
    found = {"data.language": source or said.get("src_lang"), "data.target_language": target or said.get("tgt_lang") or first}
    for key, name in found.items():
        if name is None:
            missing = "none was chosen to write" if "target" in key else "the language of the sources was not said"
            raise UserError(f"{facts.reference} knows {len(known)} languages, and {missing}.",
                            fix=f"Pass --set {key}=…, one of {', '.join(sorted(known))}.")
        if name not in known:
            near = nearest(name, known) or next((one for one in sorted(known) if one.startswith(name[:2].lower())), None)
            raise UserError(f"{facts.reference} knows no language {name!r} ({key}){f'; did you mean {near}?' if near else '.'}",
                            fix=f"Its languages: {', '.join(sorted(known))}.", exit=Exit.SETTINGS)
    made = Spoken(held, str(found["data.language"]), str(found["data.target_language"]))
    held.src_lang, held.tgt_lang = made.source, made.target
    held.init_kwargs |= {"src_lang": made.source, "tgt_lang": made.target}
    return made


def said_in(facts: Facts) -> dict[str, Any]:
    """What the tokenizer's own file says: its class would take English where nothing is said."""
    try:
        held = json.loads((facts.folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return held if isinstance(held, dict) else {}
