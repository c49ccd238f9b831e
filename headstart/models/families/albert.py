"""ALBERT (Lan et al. 2019): BERT whose layers share one set of weights, with narrow embeddings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headstart.models.family import (
    NO_DECODER,
    Checkpoint,
    Family,
    embedding_head,
    masked_lm_head,
    sequence_head,
    span_classifier,
    token_classifier,
    token_head,
)

if TYPE_CHECKING:
    from torch import Tensor


def classify(module: Any, states: Tensor) -> Tensor:
    """The pooler's linear layer and tanh, dropout, linear."""
    backbone = module.base_model
    logits: Tensor = module.classifier(module.dropout(backbone.pooler_activation(backbone.pooler(states))))
    return logits


def vocabulary_logits(module: Any, states: Tensor) -> Tensor:
    """Dense, activation, norm, and the transposed embeddings."""
    logits: Tensor = module.predictions(states)
    return logits


FAMILY = Family(
    "albert",
    {
        "sequence-classification": sequence_head("AlbertForSequenceClassification", classify),
        "token-classification": token_head("AlbertForTokenClassification", token_classifier),
        "question-answering": token_head("AlbertForQuestionAnswering", span_classifier),
        "multiple-choice": sequence_head("AlbertForMultipleChoice", classify),
        "masked-language-model": masked_lm_head("AlbertForMaskedLM", vocabulary_logits),
        "embedding": embedding_head("AlbertForEmbedding"),
    },
    layer_path="encoder.albert_layer_groups",
    first_token_layer="",  # all layers are one module: the last cannot differ from the others
    layer_rows="packed",
    embedding_projection="encoder.embedding_hidden_mapping_in",
    dropouts=("hidden_dropout_prob", "classifier_dropout_prob"),
    missing_heads={
        "next-sentence": "it was pretrained on the order of sentences instead",
        "pre-training": "its second goal is the order of sentences, not the next sentence",
    } | NO_DECODER,
    checkpoints=(
        Checkpoint("albert/albert-base-v2", "12 M", "Apache-2.0"),
        Checkpoint("albert/albert-large-v2", "18 M", "Apache-2.0"),
        Checkpoint("albert/albert-xlarge-v2", "59 M", "Apache-2.0"),
        Checkpoint("albert/albert-xxlarge-v2", "223 M", "Apache-2.0"),
    ),
    aliases={name: f"albert/{name}" for name in (
        *(f"albert-{size}-v{version}" for version in (1, 2) for size in ("base", "large", "xlarge", "xxlarge")),)},
)
