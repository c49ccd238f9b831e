"""DeBERTa v2 and v3 (He et al. 2020, 2021): content and position attend each other by their own matrices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headstart.models.family import NO_DECODER, NO_NEXT_SENTENCE, Checkpoint, Family, asked, embedded, pooled, span_head, token_head, tokens

if TYPE_CHECKING:
    from torch import Tensor


def classify(module: Any, states: Tensor) -> Tensor:
    """Dropout, dense, activation of the first token; dropout, linear."""
    logits: Tensor = module.classifier(module.dropout(module.pooler(states[:, None])))
    return logits


def words(module: Any, states: Tensor) -> Tensor:
    """Dense, activation, norm, and the embeddings turned round."""
    if module.legacy:
        logits: Tensor = module.cls(states)
    else:
        logits = module.lm_predictions(states, module.base_model.embeddings.word_embeddings)
    return logits


FAMILY = Family(
    "deberta-v2",
    {
        "sequence-classification": pooled("DebertaV2ForSequenceClassification", classify, keeps=("pooler.",)),
        "token-classification": tokens("DebertaV2ForTokenClassification", token_head),
        "question-answering": tokens("DebertaV2ForQuestionAnswering", span_head),
        "multiple-choice": pooled("DebertaV2ForMultipleChoice", classify, keeps=("pooler.",)),
        "masked-language-model": asked("DebertaV2ForMaskedLM", words),
        "embedding": embedded("DebertaV2ForEmbedding"),
    },
    packs=False,  # attention of its own, by distances between places of the row
    first_only="",
    dropouts=("hidden_dropout_prob", "pooler_dropout", "cls_dropout"),
    config_keys=("position_buckets", "norm_rel_ebd", "share_att_key", "conv_kernel_size", "conv_act", "conv_groups",
                 "attention_head_size", "embedding_size", "pooler_hidden_size", "cls_dropout"),
    lacks=NO_NEXT_SENTENCE | NO_DECODER,
    checkpoints=(
        Checkpoint("microsoft/deberta-v3-xsmall", "71 M", "MIT", pickled=True),
        Checkpoint("microsoft/deberta-v3-small", "142 M", "MIT", pickled=True),
        Checkpoint("microsoft/deberta-v3-base", "184 M", "MIT", pickled=True),
        Checkpoint("microsoft/deberta-v3-large", "435 M", "MIT", pickled=True),
        Checkpoint("microsoft/mdeberta-v3-base", "280 M", "MIT", pickled=True),
    ),
)
