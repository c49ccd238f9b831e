"""DistilBERT (Sanh et al. 2019): BERT with half the layers, no segments, no pooler."""

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
    token_classifier,
    token_head,
)

if TYPE_CHECKING:
    from torch import Tensor


def classify(module: Any, pooled_states: Tensor) -> Tensor:
    """Linear, ReLU, dropout, linear."""
    logits: Tensor = module.classifier(module.dropout(module.pre_classifier(pooled_states).relu()))
    return logits


def span_logits(module: Any, states: Tensor) -> Tensor:
    """Dropout, linear."""
    logits: Tensor = module.qa_outputs(module.dropout(states))
    return logits


def vocabulary_logits(module: Any, states: Tensor) -> Tensor:
    """Dense, activation, norm, and the transposed embeddings."""
    states = module.vocab_layer_norm(module.activation(module.vocab_transform(states)))
    logits: Tensor = module.vocab_projector(states)
    return logits


FAMILY = Family(
    "distilbert",
    {
        "sequence-classification": sequence_head("DistilBertForSequenceClassification", classify),
        "token-classification": token_head("DistilBertForTokenClassification", token_classifier),
        "question-answering": token_head("DistilBertForQuestionAnswering", span_logits),
        "multiple-choice": sequence_head("DistilBertForMultipleChoice", classify),
        "masked-language-model": masked_lm_head("DistilBertForMaskedLM", vocabulary_logits),
        "embedding": embedding_head("DistilBertForEmbedding"),
    },
    has_token_types=False,
    layer_path="transformer.layer",
    first_token_layer="distilbert",
    layer_rows="packed",
    dropouts=("dropout", "seq_classif_dropout", "qa_dropout"),
    attention_dropouts=("attention_dropout",),
    size_keys={"width": "dim", "layers": "n_layers", "positions": "max_position_embeddings"},
    missing_heads=NO_NEXT_SENTENCE | NO_DECODER,
    checkpoints=(
        Checkpoint("distilbert/distilbert-base-cased", "66 M", "Apache-2.0"),
        Checkpoint("distilbert/distilbert-base-uncased", "66 M", "Apache-2.0", verified=False),
        Checkpoint("distilbert/distilbert-base-multilingual-cased", "135 M", "Apache-2.0"),
        Checkpoint("distilbert/distilbert-base-uncased-finetuned-sst-2-english", "67 M", "Apache-2.0"),
    ),
    aliases={name: f"distilbert/{name}" for name in (
        "distilbert-base-cased", "distilbert-base-uncased", "distilbert-base-multilingual-cased",
        "distilbert-base-uncased-distilled-squad", "distilbert-base-cased-distilled-squad",
        "distilbert-base-uncased-finetuned-sst-2-english")},
)
