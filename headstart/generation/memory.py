"""Memory that is free, and what generation takes, before something large begins."""

from __future__ import annotations

from typing import TYPE_CHECKING

from headstart.errors import Exit, UserError
from headstart.models.loading.device import free_memory

if TYPE_CHECKING:
    from headstart.models.model import Model

BYTES_PER_NUMBER = 4
SCORE_TABLES = 4  # tables of scores in memory at once: raw, logarithms, changed, sorted


def generation_bytes(model: Model, *, rows: int, tokens: int) -> int:
    """Bytes beside the weights at the least: keys and values of every layer, and the scores of one step."""
    config = model.decoder_config
    heads = getattr(config, "num_attention_heads", 1)
    key_value_share = (getattr(config, "num_key_value_heads", None) or heads) / heads
    cache_size = 2 * model.cached_layers * model.info.width * tokens * key_value_share
    return int(rows * BYTES_PER_NUMBER * (cache_size + SCORE_TABLES * config.vocab_size))


def check_memory(model: Model, *, rows: int, tokens: int) -> None:
    """Refuse to generate what memory cannot hold, before it is begun; raises UserError (78)."""
    needed, free = generation_bytes(model, rows=rows, tokens=tokens), free_memory(str(model.device))
    if needed > free:
        raise UserError(f"A batch of {rows:,} texts of {tokens:,} tokens takes at least {needed / 2**30:.1f} GiB of "
                        f"memory, but {free / 2**30:.1f} GiB are free.",
                        fix="Ask for fewer generation.num_beams or num_return_sequences "
                        "(with generation.penalty_alpha, a smaller top_k), or make "
                        "generation.batch_size or max_new_tokens smaller.",
                        exit=Exit.SETTINGS)
