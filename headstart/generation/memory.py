"""Memory that is free, and what writing takes, before something large begins."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from headstart.errors import Exit, UserError

if TYPE_CHECKING:
    from headstart.models.model import Model

NUMBER, SCORES = 4, 4  # bytes of a number; tables of scores that stand side by side (raw, logarithms, changed, sorted)


def memory_free(device: str) -> int:
    """Bytes that are free now."""
    import torch

    if device.startswith("cuda"):
        return int(torch.cuda.mem_get_info()[0])
    try:
        for text in Path("/proc/meminfo").read_text(encoding="utf-8").splitlines():
            if text.startswith("MemAvailable:"):
                return int(text.split()[1]) * 1024
    except OSError:
        pass
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES")


def writing_takes(model: Model, *, rows: int, tokens: int) -> int:
    """Bytes beside the weights at the least: keys and values of every layer, and the scores of one step."""
    config = model.module.config
    config = getattr(config, "decoder", None) or config  # of a pair, the one that writes
    layers = next((found for name in ("decoder_layers", "num_decoder_layers", "num_hidden_layers")
                   if model.facts.row.rewrite is not None and (found := getattr(config, name, None))), model.facts.layers)
    heads = getattr(config, "num_attention_heads", 1)
    shared = (getattr(config, "num_key_value_heads", None) or heads) / heads
    kept = 2 * layers * model.facts.width * tokens * shared
    return int(rows * NUMBER * (kept + SCORES * config.vocab_size))


def check_room(model: Model, *, rows: int, tokens: int) -> None:
    """Refuse to write what memory cannot hold, before it is begun; raises UserError (78)."""
    needed, free = writing_takes(model, rows=rows, tokens=tokens), memory_free(str(model.device))
    if needed > free:
        raise UserError(f"Writing {rows:,} texts of {tokens:,} tokens side by side takes at least {needed / 2**30:.1f} GiB of memory, "
                        f"{free / 2**30:.1f} GiB are free.",
                        fix="Ask for fewer generation.beams or answers (with generation.contrast, a smaller top_k), or make "
                        "generation.at_once or new_tokens smaller.",
                        exit=Exit.SETTINGS)
