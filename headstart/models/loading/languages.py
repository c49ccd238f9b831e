"""Languages of multilingual models: told apart by language embeddings (XLM) or by language tokens (mBART)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from headstart.errors import Exit, UserError, nearest
from headstart.models.loading.model_info import ModelInfo
from headstart.models.tokenizers.tokenizer import load_tokenizer

LANGUAGE_KEY = "language"  # of config.json: the name of the language that a model was trained on


def ids_by_language(info: ModelInfo) -> dict[str, int]:
    """Language ids by name, in their order; {} for a model without language embeddings."""
    if int(info.config.get("n_langs") or 1) <= 1 or not info.config.get("use_lang_emb", True):
        return {}
    ids = info.config.get("lang2id") or {}
    return {str(name): int(language_id) for name, language_id in sorted(ids.items(), key=lambda pair: int(pair[1]))}


def resolve_language(info: ModelInfo, name: str | None) -> str | None:
    """The requested language, else the one that the model was trained on; raises UserError (78) for an unknown one."""
    ids = ids_by_language(info)
    name = name or (info.config.get(LANGUAGE_KEY) if ids else None)
    if name is not None and name not in ids:
        suggestion = nearest(name, ids)
        raise UserError(f"{info.reference} has no language "
                        f"{name!r}{f'; did you mean {suggestion}?' if suggestion else '.'}",
                        fix=f"Its languages: {', '.join(ids)}." if ids else "Leave the language out.",
                        exit=Exit.SETTINGS)
    return name


def missing_language_warning(info: ModelInfo, name: str | None) -> str | None:
    """The warning that a multilingual model reads without a language; None where there is nothing to warn of."""
    ids = ids_by_language(info)
    if not ids or resolve_language(info, name) is not None:
        return None
    return f"no language chosen of {', '.join(ids)}: its language embeddings are left out (--set data.language=…)"


@dataclass(frozen=True)
class LanguageTokens:
    """The tokenizer of a model with language tokens (mBART), and the languages of source and target."""

    hf_tokenizer: Any
    source: str
    target: str

    def configure(self, module: Any) -> None:
        """Set the target language in the module's config, as the published files do.

        mBART's decoder starts with the language token; that of its successor (mBART-50) with the end token, then the
        language.
        """
        token = self.hf_tokenizer.convert_tokens_to_ids(self.target)
        self.hf_tokenizer._switch_to_target_mode()
        prefixed = token in self.hf_tokenizer.prefix_tokens
        self.hf_tokenizer._switch_to_input_mode()
        if prefixed:
            module.generation_config.forced_bos_token_id = token
        else:
            module.config.decoder_start_token_id = module.generation_config.decoder_start_token_id = token


def language_tokens(info: ModelInfo, source: str | None, target: str | None) -> LanguageTokens | None:
    """The requested languages, else those that the folder was saved with; None for a family without language tokens.

    Raises UserError (2, 78) for a missing and an unknown language, before weights are read.
    """
    if not info.family.language_tokens:
        if target is not None:
            raise UserError(f"{info.reference} ({info.family_name}) takes no target language.",
                            fix="Leave data.target_language out.", exit=Exit.SETTINGS)
        return None
    tokenizer = load_tokenizer(str(info.folder), info.assumed_model_type)
    codes = {name: token for name, token in tokenizer.lang_code_to_id.items() if token != tokenizer.unk_token_id}
    names = {token: name for name, token in codes.items()}
    saved = tokenizer_config(info)
    configured = names.get(info.config.get("forced_bos_token_id")
                           or -1) or names.get(info.config.get("decoder_start_token_id") or -1)
    requested = {"data.language": source or saved.get("src_lang"),
                 "data.target_language": target or saved.get("tgt_lang") or configured}
    for key, name in requested.items():
        if name is None:
            problem = "no target language was chosen" if "target" in key else "no source language was chosen"
            raise UserError(f"{info.reference} knows {len(codes)} languages, and {problem}.",
                            fix=f"Pass --set {key}=…, one of {', '.join(sorted(codes))}.")
        if name not in codes:
            suggestion = nearest(name, codes) or next((code for code in sorted(codes)
                                                       if code.startswith(name[:2].lower())), None)
            raise UserError(f"{info.reference} knows no language {name!r} "
                            f"({key}){f'; did you mean {suggestion}?' if suggestion else '.'}",
                            fix=f"Its languages: {', '.join(sorted(codes))}.", exit=Exit.SETTINGS)
    tokens = LanguageTokens(tokenizer, str(requested["data.language"]), str(requested["data.target_language"]))
    tokenizer.src_lang, tokenizer.tgt_lang = tokens.source, tokens.target
    tokenizer.init_kwargs |= {"src_lang": tokens.source, "tgt_lang": tokens.target}
    return tokens


def tokenizer_config(info: ModelInfo) -> dict[str, Any]:
    """tokenizer_config.json as it is: without it, the tokenizer's class would take English."""
    try:
        content = json.loads((info.folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
