"""ALBERT (Lan et al. 2019): BERT whose layers share one set of weights, with narrow embeddings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headstart.models.family import NO_DECODER, Checkpoint, Family, asked, embedded, pooled, span_head, token_head, tokens

if TYPE_CHECKING:
    from torch import Tensor


def classify(module: Any, states: Tensor) -> Tensor:
    """The pooler's linear layer and tanh, dropout, linear."""
    base = module.base_model
    logits: Tensor = module.classifier(module.dropout(base.pooler_activation(base.pooler(states))))
    return logits


def words(module: Any, states: Tensor) -> Tensor:
    """Dense, activation, norm, and the embeddings turned round."""
    logits: Tensor = module.predictions(states)
    return logits


FAMILY = Family(
    "albert",
    {
        "sequence-classification": pooled("AlbertForSequenceClassification", classify),
        "token-classification": tokens("AlbertForTokenClassification", token_head),
        "question-answering": tokens("AlbertForQuestionAnswering", span_head),
        "multiple-choice": pooled("AlbertForMultipleChoice", classify),
        "masked-language-model": asked("AlbertForMaskedLM", words),
        "embedding": embedded("AlbertForEmbedding"),
    },
    layers="encoder.albert_layer_groups",
    first_only="",  # all layers are one module: the last cannot work otherwise than the others
    dropouts=("hidden_dropout_prob", "classifier_dropout_prob"),
    lacks={
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
