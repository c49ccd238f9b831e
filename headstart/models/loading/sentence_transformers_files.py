"""The files by which sentence-transformers reads a model folder: mean of the token states, then length 1."""

from __future__ import annotations

import json
from pathlib import Path

MODULES = (("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize"))
POOLING_MODES = ("cls_token", "mean_tokens", "max_tokens", "mean_sqrt_len_tokens", "weightedmean_tokens", "lasttoken")


def write(folder: Path, *, width: int, max_length: int) -> None:
    """modules.json and the settings of its modules, next to the files of transformers."""
    modules = [{"idx": index, "name": str(index), "path": path, "type": f"sentence_transformers.models.{name}"}
               for index, (path, name) in enumerate(MODULES)]
    pooling = {"word_embedding_dimension": width, **{f"pooling_mode_{mode}": mode == "mean_tokens"
                                                     for mode in POOLING_MODES},
               "include_prompt": True}
    for path, _ in MODULES[1:]:
        (folder / path).mkdir(exist_ok=True)
    for name, content in (
            ("modules.json", modules), ("1_Pooling/config.json", pooling),
            ("sentence_bert_config.json", {"max_seq_length": max_length, "do_lower_case": False}),
            ("config_sentence_transformers.json", {"prompts": {}, "default_prompt_name": None,
                                                   "similarity_fn_name": "cosine"})):
        (folder / name).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
