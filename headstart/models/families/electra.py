"""ELECTRA (Clark et al. 2020): the discriminator is what is fine-tuned."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headstart.models.family import (
    NO_NEXT_SENTENCE,
    Checkpoint,
    Family,
    asked,
    continued,
    embedded,
    head_module,
    pooled,
    span_head,
    token_head,
    tokens,
)

if TYPE_CHECKING:
    from torch import Tensor


def summary(module: Any, states: Tensor) -> Tensor:
    """Summary of the first token (dense, activation, dropout), linear."""
    logits: Tensor = module.classifier(module.sequence_summary(states[:, None]))
    return logits


def words(module: Any, states: Tensor) -> Tensor:
    """The generator's dense layer, activation and norm, and the embeddings turned round."""
    logits: Tensor = module.generator_lm_head(module.generator_predictions(states))
    return logits


def replaced(module: Any, states: Tensor) -> Tensor:
    """The discriminator: how much each token looks like a replaced one."""
    logits: Tensor = module.discriminator_predictions(states)[:, None]
    return logits


FAMILY = Family(
    "electra",
    {
        "sequence-classification": pooled("ElectraForSequenceClassification", head_module),
        "token-classification": tokens("ElectraForTokenClassification", token_head),
        "question-answering": tokens("ElectraForQuestionAnswering", span_head),
        "multiple-choice": pooled("ElectraForMultipleChoice", summary),
        "masked-language-model": asked("ElectraForMaskedLM", words),
        "embedding": embedded("ElectraForEmbedding"),
        "causal-language-model": continued("ElectraForCausalLM", words),
        "replaced-token": tokens("ElectraForPreTraining", replaced, keeps=("",)),
    },
    kinds=("encoder", "decoder"),
    inputs={"use_cache": False},
    decodes={"is_decoder": True},
    lacks=NO_NEXT_SENTENCE,
    checkpoints=(
        Checkpoint("google/electra-small-discriminator", "14 M", "Apache-2.0", pickled=True),
        Checkpoint("google/electra-base-discriminator", "109 M", "Apache-2.0", pickled=True),
        Checkpoint("google/electra-large-discriminator", "335 M", "Apache-2.0", pickled=True),
    ),
)
