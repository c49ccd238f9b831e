"""Llama (Touvron et al. 2023) and what is built like it, SmolLM among them: rotary positions, heads of queries share keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headstart.models.family import (
    Checkpoint,
    Family,
    asked,
    by_last,
    no_mask,
    pooled,
    score_head,
    tokens,
    vocabulary_head,
)

if TYPE_CHECKING:
    from torch import Tensor


def labels(module: Any, states: Tensor) -> Tensor:
    """Dropout, linear."""
    logits: Tensor = module.score(module.dropout(states))
    return logits


FAMILY = Family(
    "llama",
    {
        "causal-language-model": asked("LlamaForCausalLM", vocabulary_head),
        "sequence-classification": pooled("LlamaForSequenceClassification", score_head),
        "token-classification": tokens("LlamaForTokenClassification", labels),
    },
    kinds=("decoder",),
    has_types=False,
    causal=True,
    pooling=by_last,
    layers="layers",
    above=("norm",),
    first_only="",
    packed_mask=no_mask,
    dropouts=(),
    attention_dropouts=("attention_dropout",),
    checkpoints=(
        Checkpoint("HuggingFaceTB/SmolLM2-135M", "135 M", "Apache-2.0"),
        Checkpoint("HuggingFaceTB/SmolLM2-360M", "362 M", "Apache-2.0"),
    ),
)
