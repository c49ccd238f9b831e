"""RoBERTa (Liu et al. 2019): positions begin after the padding id; one segment only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headstart.models.family import (
    NO_NEXT_SENTENCE,
    Checkpoint,
    Family,
    Head,
    asked,
    continued,
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
    """The first position is padding_idx + 1 (2 in every published checkpoint)."""
    return int(config.pad_token_id) + 1


def words(module: Any, states: Tensor) -> Tensor:
    """Dense, activation, norm, and the embeddings turned round."""
    logits: Tensor = module.lm_head(states)
    return logits


def heads(name: str) -> dict[str, Head]:
    """The heads of RoBERTa and its offspring."""
    return {
        "sequence-classification": pooled(f"{name}ForSequenceClassification", head_module),
        "token-classification": tokens(f"{name}ForTokenClassification", token_head),
        "question-answering": tokens(f"{name}ForQuestionAnswering", span_head),
        "multiple-choice": pooled(f"{name}ForMultipleChoice", pooler_head),
        "masked-language-model": asked(f"{name}ForMaskedLM", words),
        "embedding": embedded(f"{name}ForEmbedding"),
        "causal-language-model": continued(f"{name}ForCausalLM", words),
    }


FAMILY = Family(
    "roberta",
    heads("Roberta"),
    kinds=("encoder", "decoder"),
    inputs={"use_cache": False},
    decodes={"is_decoder": True},
    position_offset=after_padding,
    lacks=NO_NEXT_SENTENCE,
    checkpoints=(
        Checkpoint("FacebookAI/roberta-base", "125 M", "MIT"),
        Checkpoint("FacebookAI/roberta-large", "355 M", "MIT"),
        Checkpoint("distilbert/distilroberta-base", "82 M", "Apache-2.0"),
    ),
    aliases={"roberta-base": "FacebookAI/roberta-base", "roberta-large": "FacebookAI/roberta-large",
             "roberta-large-mnli": "FacebookAI/roberta-large-mnli", "distilroberta-base": "distilbert/distilroberta-base"},
)
