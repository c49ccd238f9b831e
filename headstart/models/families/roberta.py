"""RoBERTa (Liu et al. 2019): positions begin after the padding id; one segment only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headstart.models.family import (
    NO_NEXT_SENTENCE,
    Checkpoint,
    Family,
    Head,
    causal_lm_head,
    embedding_head,
    masked_lm_head,
    module_classifier,
    pooler_classifier,
    sequence_head,
    span_classifier,
    token_classifier,
    token_head,
)

if TYPE_CHECKING:
    from torch import Tensor


def position_offset(config: Any) -> int:
    """The first position is padding_idx + 1 (2 in every published checkpoint)."""
    return int(config.pad_token_id) + 1


def vocabulary_logits(module: Any, states: Tensor) -> Tensor:
    """Dense, activation, norm, and the transposed embeddings."""
    logits: Tensor = module.lm_head(states)
    return logits


def heads(class_prefix: str) -> dict[str, Head]:
    """The heads of RoBERTa and its offspring."""
    return {
        "sequence-classification": sequence_head(f"{class_prefix}ForSequenceClassification", module_classifier),
        "token-classification": token_head(f"{class_prefix}ForTokenClassification", token_classifier),
        "question-answering": token_head(f"{class_prefix}ForQuestionAnswering", span_classifier),
        "multiple-choice": sequence_head(f"{class_prefix}ForMultipleChoice", pooler_classifier),
        "masked-language-model": masked_lm_head(f"{class_prefix}ForMaskedLM", vocabulary_logits),
        "embedding": embedding_head(f"{class_prefix}ForEmbedding"),
        "causal-language-model": causal_lm_head(f"{class_prefix}ForCausalLM", vocabulary_logits),
    }


FAMILY = Family(
    "roberta",
    heads("Roberta"),
    kinds=("encoder", "decoder"),
    forward_inputs={"use_cache": False},
    first_token_layer="bert",
    layer_rows="packed",
    decoder_config={"is_decoder": True},
    position_offset=position_offset,
    missing_heads=NO_NEXT_SENTENCE,
    checkpoints=(
        Checkpoint("FacebookAI/roberta-base", "125 M", "MIT"),
        Checkpoint("FacebookAI/roberta-large", "355 M", "MIT"),
        Checkpoint("distilbert/distilroberta-base", "82 M", "Apache-2.0"),
    ),
    aliases={"roberta-base": "FacebookAI/roberta-base", "roberta-large": "FacebookAI/roberta-large",
             "roberta-large-mnli": "FacebookAI/roberta-large-mnli",
             "distilroberta-base": "distilbert/distilroberta-base"},
)
