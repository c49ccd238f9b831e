"""DistilBERT (Sanh et al. 2019): BERT with half the layers, no segments, no pooler."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headstart.models.family import NO_DECODER, NO_NEXT_SENTENCE, Checkpoint, Family, asked, embedded, pooled, token_head, tokens

if TYPE_CHECKING:
    from torch import Tensor


def classify(module: Any, pooled: Tensor) -> Tensor:
    """Linear, ReLU, dropout, linear."""
    logits: Tensor = module.classifier(module.dropout(module.pre_classifier(pooled).relu()))
    return logits


def spans(module: Any, states: Tensor) -> Tensor:
    """Dropout, linear."""
    logits: Tensor = module.qa_outputs(module.dropout(states))
    return logits


def words(module: Any, states: Tensor) -> Tensor:
    """Dense, activation, norm, and the embeddings turned round."""
    states = module.vocab_layer_norm(module.activation(module.vocab_transform(states)))
    logits: Tensor = module.vocab_projector(states)
    return logits


FAMILY = Family(
    "distilbert",
    {
        "sequence-classification": pooled("DistilBertForSequenceClassification", classify),
        "token-classification": tokens("DistilBertForTokenClassification", token_head),
        "question-answering": tokens("DistilBertForQuestionAnswering", spans),
        "multiple-choice": pooled("DistilBertForMultipleChoice", classify),
        "masked-language-model": asked("DistilBertForMaskedLM", words),
        "embedding": embedded("DistilBertForEmbedding"),
    },
    has_types=False,
    layers="transformer.layer",
    first_only="distilbert",
    dropouts=("dropout", "seq_classif_dropout", "qa_dropout"),
    attention_dropouts=("attention_dropout",),
    names={"width": "dim", "layers": "n_layers", "positions": "max_position_embeddings"},
    lacks=NO_NEXT_SENTENCE | NO_DECODER,
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
