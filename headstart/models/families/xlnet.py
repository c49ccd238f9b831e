"""XLNet (Yang et al. 2019): distances instead of positions, no limit of length, its classification token comes last."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headstart.models.family import NO_NEXT_SENTENCE, Checkpoint, Family, pooled, span_head, tokens

if TYPE_CHECKING:
    from torch import Tensor


def pooling(config: Any) -> str:
    """As the config says: the last token if nothing else."""
    return config.summary_type if config.summary_type in ("first", "mean") else "last"


def classify(module: Any, states: Tensor) -> Tensor:
    """Summary (dense, tanh, dropout), linear."""
    logits: Tensor = module.logits_proj(module.sequence_summary(states[:, None]))
    return logits


def classify_tokens(module: Any, states: Tensor) -> Tensor:
    """Linear."""
    logits: Tensor = module.classifier(states)
    return logits


FAMILY = Family(
    "xlnet",
    {
        "sequence-classification": pooled("XLNetForSequenceClassification", classify),
        "token-classification": tokens("XLNetForTokenClassification", classify_tokens),
        "question-answering": tokens("XLNetForQuestionAnsweringSimple", span_head),
        "multiple-choice": pooled("XLNetForMultipleChoice", classify),
    },
    packs=False,  # attention of its own, by distances between places of the row
    numbered=False,
    longest=512,
    inputs={"use_mems": False},
    pooling=pooling,
    layers="layer",
    first_only="",
    dropouts=("dropout", "summary_last_dropout"),
    attention_dropouts=(),
    names={"width": "d_model", "layers": "n_layer"},
    lacks=NO_NEXT_SENTENCE | {"masked-language-model": "it was pretrained on words in a drawn order, without a mask"},
    checkpoints=(
        Checkpoint("xlnet/xlnet-base-cased", "117 M", "MIT", pickled=True),
        Checkpoint("xlnet/xlnet-large-cased", "360 M", "MIT", pickled=True),
    ),
    aliases={name: f"xlnet/{name}" for name in ("xlnet-base-cased", "xlnet-large-cased")},
)
