"""The files by which sentence-transformers reads a model folder: mean of the token states, then length 1."""

from __future__ import annotations

import json
from pathlib import Path

MODULES = (("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize"))
WAYS = ("cls_token", "mean_tokens", "max_tokens", "mean_sqrt_len_tokens", "weightedmean_tokens", "lasttoken")


def write(folder: Path, *, width: int, longest: int) -> None:
    """modules.json and the settings of its parts, beside the files of transformers."""
    modules = [{"idx": place, "name": str(place), "path": path, "type": f"sentence_transformers.models.{name}"}
               for place, (path, name) in enumerate(MODULES)]
    pooling = {"word_embedding_dimension": width, **{f"pooling_mode_{way}": way == "mean_tokens" for way in WAYS}, "include_prompt": True}
    for path, _ in MODULES[1:]:
        (folder / path).mkdir(exist_ok=True)
    for name, held in (("modules.json", modules), ("1_Pooling/config.json", pooling),
                       ("sentence_bert_config.json", {"max_seq_length": longest, "do_lower_case": False}),
                       ("config_sentence_transformers.json", {"prompts": {}, "default_prompt_name": None, "similarity_fn_name": "cosine"})):
        (folder / name).write_text(json.dumps(held, indent=2) + "\n", encoding="utf-8")
