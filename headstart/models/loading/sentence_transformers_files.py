"""The files by which sentence-transformers reads a model folder: mean of the token states, then length 1."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from headstart.errors import UserError
from headstart.models.loading.json_files import bounded_json, damaged

MODULES = (("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize"))
POOLING_MODES = ("cls_token", "mean_tokens", "max_tokens", "mean_sqrt_len_tokens", "weightedmean_tokens", "lasttoken")


def write(folder: Path, width: int, max_length: int, pooling: str) -> None:
    """modules.json and the settings of its modules, next to the files of transformers."""
    modules = [{"idx": index, "name": str(index), "path": path, "type": f"sentence_transformers.models.{name}"}
               for index, (path, name) in enumerate(MODULES)]
    pooling_settings = {"word_embedding_dimension": width,
                        **{f"pooling_mode_{mode}": mode == pooling for mode in POOLING_MODES}, "include_prompt": True}
    for path, _ in MODULES[1:]:
        (folder / path).mkdir(exist_ok=True)
    for name, content in (
            ("modules.json", modules), ("1_Pooling/config.json", pooling_settings),
            ("sentence_bert_config.json", {"max_seq_length": max_length, "do_lower_case": False}),
            ("config_sentence_transformers.json", {"prompts": {}, "default_prompt_name": None,
                                                   "similarity_fn_name": "cosine"})):
        (folder / name).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


Pool = Literal["mean", "first", "max"]
POOLS: Mapping[str, Pool] = {"mean": "mean", "mean_tokens": "mean", "cls": "first", "cls_token": "first", "max": "max",
                             "max_tokens": "max"}


@dataclass(frozen=True)
class SentenceEncoder:
    """How a folder of sentence-transformers makes a text's vector: what stands before the text, how its token states
    become one vector, and how many tokens are read.
    """

    pool: Pool
    max_length: int | None = None
    prompt: str = ""
    lowercase: bool = False
    similarity: str = "cosine"

    def prepared(self, text: str) -> str:
        """The text as the tokenizer gets it."""
        return (self.prompt + text).lower() if self.lowercase else self.prompt + text


def read(folder: Path, reference: str) -> SentenceEncoder | None:
    """How a folder makes vectors of texts; None for one that was not trained to.

    Raises UserError: 2 for modules that headstart does not have, 69 for a damaged folder.
    """
    modules = read_file(folder / "modules.json")
    if modules is None:
        return None
    try:
        places = {str(module["type"]).rsplit(".", 1)[-1]: str(module["path"]) for module in modules}
        unknown = sorted(set(places) - {name for _, name in MODULES})
        if unknown or not {"Transformer", "Pooling"} <= set(places):
            raise UserError(f"{reference} makes its vectors by {', '.join(unknown) or 'modules without pooling'}, "
                            "which headstart does not have.",
                            fix="Choose a sentence encoder of a transformer with mean, first-token or max pooling.")
        pooling = read_file(folder / places["Pooling"] / "config.json") or {}
        limits = read_file(folder / "sentence_bert_config.json") or {}
        settings = read_file(folder / "config_sentence_transformers.json") or {}
        prompt = (settings.get("prompts") or {}).get(settings.get("default_prompt_name") or "", "")
        max_length = limits.get("max_seq_length")
        if max_length is not None and (type(max_length) is not int or max_length < 1):
            raise TypeError(f"max_seq_length is {max_length!r}")
        return SentenceEncoder(read_pool(pooling, bool(prompt), reference), max_length, prompt,
                               bool(limits.get("do_lower_case")), settings.get("similarity_fn_name") or "cosine")
    except (AttributeError, KeyError, TypeError) as error:
        raise damaged(f"modules.json of {reference}, or a file that it names, cannot be used: {error!r:.80}") from None


def read_pool(pooling: Mapping[str, Any], has_prompt: bool, reference: str) -> Pool:
    """How token states become one vector, by the settings of the pooling; raises UserError (2)."""
    mode = pooling.get("pooling_mode")
    modes = [mode] if mode is not None else [name for name in POOLING_MODES if pooling.get(f"pooling_mode_{name}")]
    if len(modes) != 1 or modes[0] not in POOLS:
        raise UserError(f"{reference} pools by {', '.join(map(str, modes)) or 'nothing'}; mean, first token (cls) or "
                        "max was expected.", fix="Choose another sentence encoder.")
    if has_prompt and pooling.get("include_prompt") is False:
        raise UserError(f"{reference} leaves the tokens of its prompt out of its vectors, which headstart does not do.",
                        fix="Choose another sentence encoder.")
    return POOLS[modes[0]]


def read_file(path: Path) -> Any:
    """The JSON of a file; None where there is none. Raises UserError (69)."""
    if not path.exists():
        return None
    try:
        return bounded_json(path)
    except (OSError, ValueError, RecursionError) as error:
        raise damaged(f"{path} is not JSON: {error}.") from None
