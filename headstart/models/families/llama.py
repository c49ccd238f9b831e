"""Llama (Touvron et al. 2023) and models built like it (SmolLM): a decoder with rotary positions and shared keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headstart.models.families.gpt2 import MISSING_HEADS, classify, vocabulary_logits
from headstart.models.family import (
    Checkpoint,
    Family,
    causal_lm_head,
    last_token_head,
    last_token_pooling,
    placeholder_mask,
    sequence_head,
    span_classifier,
    token_head,
)

if TYPE_CHECKING:
    from torch import Tensor


def classify_tokens(module: Any, states: Tensor) -> Tensor:
    """Dropout, linear."""
    logits: Tensor = module.score(module.dropout(states))
    return logits


def classify_choices(module: Any, states: Tensor) -> Tensor:
    """Linear, without a bias, on the last token; a head of our own."""
    logits: Tensor = module.score(states)
    return logits


FAMILY = Family(
    "llama",
    {
        "sequence-classification": sequence_head("LlamaForSequenceClassification", classify),
        "token-classification": token_head("LlamaForTokenClassification", classify_tokens),
        "question-answering": token_head("LlamaForQuestionAnswering", span_classifier),
        "multiple-choice": last_token_head("LlamaForMultipleChoice", classify_choices),
        "causal-language-model": causal_lm_head("LlamaForCausalLM", vocabulary_logits),
    },
    kinds=("decoder",),
    has_token_types=False,
    forward_inputs={"use_cache": False},
    pooling=last_token_pooling,
    contrastive_search=True,
    prompt_lookup=True,
    steering=True,
    layer_path="layers",
    packed_mask=placeholder_mask,
    dropouts=("classifier_dropout",),
    attention_dropouts=("attention_dropout",),
    config_keys=("classifier_dropout", "hidden_dropout", "token_classification_bias", "rope_theta"),
    missing_heads=MISSING_HEADS,
    checkpoints=(
        Checkpoint("HuggingFaceTB/SmolLM2-135M", "135 M", "Apache-2.0"),
        Checkpoint("HuggingFaceTB/SmolLM2-360M", "362 M", "Apache-2.0"),
        Checkpoint("TinyLlama/TinyLlama_v1.1", "1.1 B", "Apache-2.0", verified=False),
    ),
)
