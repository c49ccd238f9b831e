"""MPNet (Song et al. 2020): positions begin at 2, and a bias by distance is added to every layer's scores."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headstart.models.family import (
    NO_DECODER,
    NO_NEXT_SENTENCE,
    Checkpoint,
    Family,
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
    """The first position is 2, whatever the config's padding id."""
    return 2


def vocabulary_logits(module: Any, states: Tensor) -> Tensor:
    """Dense, activation, norm, and the transposed embeddings."""
    logits: Tensor = module.lm_head(states)
    return logits


FAMILY = Family(
    "mpnet",
    {
        "sequence-classification": sequence_head("MPNetForSequenceClassification", module_classifier),
        "token-classification": token_head("MPNetForTokenClassification", token_classifier),
        "question-answering": token_head("MPNetForQuestionAnswering", span_classifier),
        "multiple-choice": sequence_head("MPNetForMultipleChoice", pooler_classifier),
        "masked-language-model": masked_lm_head("MPNetForMaskedLM", vocabulary_logits),
        "embedding": embedding_head("MPNetForEmbedding"),
    },
    packs=False,  # the bias is computed for positions of the row, by attention of its own
    layer_rows="padded",
    has_token_types=False,
    position_offset=position_offset,
    missing_heads=NO_NEXT_SENTENCE | NO_DECODER,
    checkpoints=(
        Checkpoint("microsoft/mpnet-base", "110 M", "not stated"),
        Checkpoint("sentence-transformers/all-mpnet-base-v2", "109 M", "Apache-2.0", verified=False),
    ),
)
