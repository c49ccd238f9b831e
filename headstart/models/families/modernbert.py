"""ModernBERT (Warner et al. 2024): rotary positions, two of three layers see only their neighbours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headstart.models.family import Checkpoint, Family

if TYPE_CHECKING:
    from torch import Tensor


def classify(module: Any, pooled: Tensor) -> Tensor:
    """Dense, activation and norm, dropout, linear."""
    logits: Tensor = module.classifier(module.drop(module.head(pooled)))
    return logits


def pooling(config: Any) -> str:
    """The first token, or the mean of all, as the config says."""
    return "mean" if config.classifier_pooling == "mean" else "first"


FAMILY = Family(
    "modernbert",
    {"sequence-classification": "ModernBertForSequenceClassification"},
    classify,
    has_types=False,
    pooling=pooling,
    layers="layers",
    keeps=("head.",),
    first_only="",  # 1 of 22 layers: little to win
    # Given None it would build a mask of all tokens by all tokens for its local layers.
    packed_mask={"full_attention": None, "sliding_attention": None},
    dropouts=("embedding_dropout", "mlp_dropout", "classifier_dropout"),
    attention_dropouts=("attention_dropout",),
    checkpoints=(
        Checkpoint("answerdotai/ModernBERT-base", "149 M", "Apache-2.0"),
        Checkpoint("answerdotai/ModernBERT-large", "395 M", "Apache-2.0"),
    ),
)
