"""ModernBERT (Warner et al. 2024): rotary positions, two of three layers see only their neighbours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headstart.models.family import NO_DECODER, NO_NEXT_SENTENCE, Checkpoint, Family, asked, embedded, pooled, tokens

if TYPE_CHECKING:
    from torch import Tensor


HEAD = ("head.",)  # the dense layer that pretraining made


def classify(module: Any, pooled: Tensor) -> Tensor:
    """Dense, activation and norm, dropout, linear."""
    logits: Tensor = module.classifier(module.drop(module.head(pooled)))
    return logits


def words(module: Any, states: Tensor) -> Tensor:
    """Dense, activation and norm, and the embeddings turned round."""
    logits: Tensor = module.decoder(module.head(states))
    return logits


def pooling(config: Any) -> str:
    """The first token, or the mean of all, as the config says."""
    return "mean" if config.classifier_pooling == "mean" else "first"


def packed_mask() -> Any:
    """Given None it would build a mask of all tokens by all tokens for its local layers."""
    return {"full_attention": None, "sliding_attention": None}


FAMILY = Family(
    "modernbert",
    {
        "sequence-classification": pooled("ModernBertForSequenceClassification", classify, HEAD),
        "token-classification": tokens("ModernBertForTokenClassification", classify, HEAD),
        "question-answering": tokens("ModernBertForQuestionAnswering", classify, HEAD),
        "multiple-choice": pooled("ModernBertForMultipleChoice", classify, HEAD),
        "masked-language-model": asked("ModernBertForMaskedLM", words),
        "embedding": embedded("ModernBertForEmbedding"),
    },
    has_types=False,
    pooling=pooling,
    layers="layers",
    first_only="",  # 1 of 22 layers: little to win
    packed_mask=packed_mask,
    dropouts=("embedding_dropout", "mlp_dropout", "classifier_dropout"),
    attention_dropouts=("attention_dropout",),
    lacks=NO_NEXT_SENTENCE | NO_DECODER,
    checkpoints=(
        Checkpoint("answerdotai/ModernBERT-base", "149 M", "Apache-2.0"),
        Checkpoint("answerdotai/ModernBERT-large", "395 M", "Apache-2.0"),
    ),
)
