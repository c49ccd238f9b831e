"""ELECTRA (Clark et al. 2020): the discriminator is what is fine-tuned."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headstart.models.family import (
    NO_NEXT_SENTENCE,
    Checkpoint,
    Family,
    causal_lm_head,
    embedding_head,
    masked_lm_head,
    module_classifier,
    sequence_head,
    span_classifier,
    token_classifier,
    token_head,
)

if TYPE_CHECKING:
    from torch import Tensor


def summary_logits(module: Any, states: Tensor) -> Tensor:
    """Summary of the first token (dense, activation, dropout), linear."""
    logits: Tensor = module.classifier(module.sequence_summary(states[:, None]))
    return logits


def vocabulary_logits(module: Any, states: Tensor) -> Tensor:
    """The generator's dense layer, activation and norm, and the transposed embeddings."""
    logits: Tensor = module.generator_lm_head(module.generator_predictions(states))
    return logits


def discriminator_logits(module: Any, states: Tensor) -> Tensor:
    """The discriminator: a score of each token's being replaced."""
    logits: Tensor = module.discriminator_predictions(states)[:, None]
    return logits


FAMILY = Family(
    "electra",
    {
        "sequence-classification": sequence_head("ElectraForSequenceClassification", module_classifier),
        "token-classification": token_head("ElectraForTokenClassification", token_classifier),
        "question-answering": token_head("ElectraForQuestionAnswering", span_classifier),
        "multiple-choice": sequence_head("ElectraForMultipleChoice", summary_logits),
        "masked-language-model": masked_lm_head("ElectraForMaskedLM", vocabulary_logits),
        "embedding": embedding_head("ElectraForEmbedding"),
        "causal-language-model": causal_lm_head("ElectraForCausalLM", vocabulary_logits),
        "replaced-token": token_head("ElectraForPreTraining", discriminator_logits, pretrained_prefixes=("",)),
    },
    kinds=("encoder", "decoder"),
    forward_inputs={"use_cache": False},
    first_token_layer="bert",
    layer_rows="packed",
    embedding_projection="embeddings_project",
    decoder_config={"is_decoder": True},
    missing_heads=NO_NEXT_SENTENCE,
    checkpoints=(
        Checkpoint("google/electra-small-discriminator", "14 M", "Apache-2.0", pickled=True),
        Checkpoint("google/electra-base-discriminator", "109 M", "Apache-2.0", pickled=True),
        Checkpoint("google/electra-large-discriminator", "335 M", "Apache-2.0", pickled=True),
    ),
)
