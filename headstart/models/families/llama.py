"""Llama (Touvron et al. 2023) and models built like it (SmolLM): a decoder with rotary positions and shared keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headstart.models.families.gpt2 import LACKS, classify, words
from headstart.models.family import Checkpoint, Family, by_last, continued, ended, pooled, span_head, tokens, unread_mask

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
        "sequence-classification": pooled("LlamaForSequenceClassification", classify),
        "token-classification": tokens("LlamaForTokenClassification", classify_tokens),
        "question-answering": tokens("LlamaForQuestionAnswering", span_head),
        "multiple-choice": ended("LlamaForMultipleChoice", classify_choices),
        "causal-language-model": continued("LlamaForCausalLM", words),
    },
    kinds=("decoder",),
    has_types=False,
    inputs={"use_cache": False},
    pooling=by_last,
    layers="layers",
    first_only="",
    packed_mask=unread_mask,
    dropouts=("classifier_dropout",),
    attention_dropouts=("attention_dropout",),
    config_keys=("classifier_dropout", "hidden_dropout", "token_classification_bias", "rope_theta"),
    lacks=LACKS,
    checkpoints=(
        Checkpoint("HuggingFaceTB/SmolLM2-135M", "135 M", "Apache-2.0"),
        Checkpoint("HuggingFaceTB/SmolLM2-360M", "362 M", "Apache-2.0"),
        Checkpoint("TinyLlama/TinyLlama_v1.1", "1.1 B", "Apache-2.0", verified=False),
    ),
)
