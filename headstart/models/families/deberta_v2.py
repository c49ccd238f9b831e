"""DeBERTa v2 and v3 (He et al. 2020, 2021): content and position attend each other by their own matrices."""

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
    span_classifier,
    token_classifier,
    token_head,
)

if TYPE_CHECKING:
    from torch import Tensor


def classify(module: Any, states: Tensor) -> Tensor:
    """Dropout, dense, activation of the first token; dropout, linear."""
    logits: Tensor = module.classifier(module.dropout(module.pooler(states[:, None])))
    return logits


def vocabulary_logits(module: Any, states: Tensor) -> Tensor:
    """Dense, activation, norm, and the transposed embeddings."""
    if module.legacy:
        logits: Tensor = module.cls(states)
    else:
        logits = module.lm_predictions(states, module.base_model.embeddings.word_embeddings)
    return logits


FAMILY = Family(
    "deberta-v2",
    {
        "sequence-classification": sequence_head("DebertaV2ForSequenceClassification", classify,
                                                 pretrained_prefixes=("pooler.",)),
        "token-classification": token_head("DebertaV2ForTokenClassification", token_classifier),
        "question-answering": token_head("DebertaV2ForQuestionAnswering", span_classifier),
        "multiple-choice": sequence_head("DebertaV2ForMultipleChoice", classify, pretrained_prefixes=("pooler.",)),
        "masked-language-model": masked_lm_head("DebertaV2ForMaskedLM", vocabulary_logits),
        "embedding": embedding_head("DebertaV2ForEmbedding"),
    },
    packs=False,  # attention of its own, by distances between positions of the row
    dropouts=("hidden_dropout_prob", "pooler_dropout", "cls_dropout"),
    config_keys=("position_buckets", "norm_rel_ebd", "share_att_key", "conv_kernel_size", "conv_act", "conv_groups",
                 "attention_head_size", "embedding_size", "pooler_hidden_size", "cls_dropout"),
    missing_heads=NO_NEXT_SENTENCE | NO_DECODER,
    checkpoints=(
        Checkpoint("microsoft/deberta-v3-xsmall", "71 M", "MIT", pickled=True),
        Checkpoint("microsoft/deberta-v3-small", "142 M", "MIT", pickled=True),
        Checkpoint("microsoft/deberta-v3-base", "184 M", "MIT", pickled=True),
        Checkpoint("microsoft/deberta-v3-large", "435 M", "MIT", pickled=True),
        Checkpoint("microsoft/mdeberta-v3-base", "280 M", "MIT", pickled=True),
    ),
)
