"""ModernBERT (Warner et al. 2024): rotary positions, two of three layers see only their neighbours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headstart.models.family import (
    NO_DECODER,
    NO_NEXT_SENTENCE,
    Checkpoint,
    Family,
    embedding_head,
    masked_lm_head,
    sequence_head,
    token_head,
)

if TYPE_CHECKING:
    from torch import Tensor


DENSE_LAYER = ("head.",)  # the dense layer that pretraining made


def classify(module: Any, states: Tensor) -> Tensor:
    """Dense, activation and norm, dropout, linear."""
    logits: Tensor = module.classifier(module.drop(module.head(states)))
    return logits


def vocabulary_logits(module: Any, states: Tensor) -> Tensor:
    """Dense, activation and norm, and the transposed embeddings."""
    logits: Tensor = module.decoder(module.head(states))
    return logits


def pooling(config: Any) -> str:
    """The first token, or the mean of all, as the config says."""
    return "mean" if config.classifier_pooling == "mean" else "first"


def packed_mask() -> Any:
    """With None it would build a mask of all tokens by all tokens for its local layers."""
    return {"full_attention": None, "sliding_attention": None}


FAMILY = Family(
    "modernbert",
    {
        "sequence-classification": sequence_head("ModernBertForSequenceClassification", classify, DENSE_LAYER),
        "token-classification": token_head("ModernBertForTokenClassification", classify, DENSE_LAYER),
        "question-answering": token_head("ModernBertForQuestionAnswering", classify, DENSE_LAYER),
        "multiple-choice": sequence_head("ModernBertForMultipleChoice", classify, DENSE_LAYER),
        "masked-language-model": masked_lm_head("ModernBertForMaskedLM", vocabulary_logits),
        "embedding": embedding_head("ModernBertForEmbedding"),
    },
    has_token_types=False,
    pooling=pooling,
    layer_path="layers",
    first_token_layer="",  # 1 of 22 layers: little to save
    packed_mask=packed_mask,
    dropouts=("embedding_dropout", "mlp_dropout", "classifier_dropout"),
    attention_dropouts=("attention_dropout",),
    missing_heads=NO_NEXT_SENTENCE | NO_DECODER,
    checkpoints=(
        Checkpoint("answerdotai/ModernBERT-base", "149 M", "Apache-2.0"),
        Checkpoint("answerdotai/ModernBERT-large", "395 M", "Apache-2.0"),
    ),
)
