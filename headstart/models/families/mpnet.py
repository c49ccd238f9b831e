"""MPNet (Song et al. 2020): positions begin at 2, and a bias by distance is added to every layer's scores."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headstart.models.family import (
    NO_DECODER,
    NO_NEXT_SENTENCE,
    Checkpoint,
    Family,
    asked,
    embedded,
    head_module,
    pooled,
    pooler_head,
    span_head,
    token_head,
    tokens,
)

if TYPE_CHECKING:
    from torch import Tensor


def after_padding(config: Any) -> int:
    """The first position is 2, whatever the config says of padding."""
    return 2


def words(module: Any, states: Tensor) -> Tensor:
    """Dense, activation, norm, and the embeddings turned round."""
    logits: Tensor = module.lm_head(states)
    return logits


FAMILY = Family(
    "mpnet",
    {
        "sequence-classification": pooled("MPNetForSequenceClassification", head_module),
        "token-classification": tokens("MPNetForTokenClassification", token_head),
        "question-answering": tokens("MPNetForQuestionAnswering", span_head),
        "multiple-choice": pooled("MPNetForMultipleChoice", pooler_head),
        "masked-language-model": asked("MPNetForMaskedLM", words),
        "embedding": embedded("MPNetForEmbedding"),
    },
    packs=False,  # the bias is worked out for places of the row, by attention of its own
    has_types=False,
    first_only="",
    position_offset=after_padding,
    lacks=NO_NEXT_SENTENCE | NO_DECODER,
    checkpoints=(
        Checkpoint("microsoft/mpnet-base", "110 M", "not stated"),
        Checkpoint("sentence-transformers/all-mpnet-base-v2", "109 M", "Apache-2.0", verified=False),
    ),
)
