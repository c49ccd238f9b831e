"""XLM (Lample and Conneau 2019): an encoder over several languages; its tokenizer is Moses and gives no offsets."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from headstart.models.families.xlnet import classify, pooling
from headstart.models.family import (
    NO_NEXT_SENTENCE,
    Checkpoint,
    Family,
    asked,
    beam_answers,
    continued,
    pooled,
    span_head,
    token_head,
    tokens,
)

if TYPE_CHECKING:
    from torch import Tensor


def summary(module: Any, states: Tensor) -> Tensor:
    """Dropout, linear."""
    logits: Tensor = module.sequence_summary(states[:, None])
    return logits


def words(module: Any, states: Tensor) -> Tensor:
    """The embeddings turned round."""
    logits: Tensor = module.pred_layer.proj(states)
    return logits


def answer_layers(module: Any) -> Any:
    """Where the answer head's layers are."""
    return module.qa_outputs


def surface(piece: str) -> str:
    """What a piece says: "roses</w>" ends a word."""
    return piece.removesuffix("</w>")


FAMILY = Family(
    "xlm",
    {
        "sequence-classification": pooled("XLMForSequenceClassification", summary),
        "token-classification": tokens("XLMForTokenClassification", token_head),
        "question-answering": tokens("XLMForQuestionAnsweringSimple", span_head),
        "question-answering-beams": beam_answers("XLMForQuestionAnswering", answer_layers),
        "multiple-choice": pooled("XLMForMultipleChoice", classify),
        "masked-language-model": dataclasses.replace(asked("XLMWithLMHeadModel", words), by_mask=True),
        "causal-language-model": continued("XLMWithLMHeadModel", words),
    },
    kinds=("encoder", "decoder"),
    packs=False,  # attention of its own, masks by row
    has_types=False,
    decodes={"causal": True},
    ragged=False,
    pooling=pooling,
    layers="attentions layer_norm1 ffns layer_norm2",
    first_only="",
    dropouts=("dropout", "summary_first_dropout"),
    attention_dropouts=("attention_dropout",),
    names={"width": "emb_dim", "layers": "n_layers", "positions": "max_position_embeddings"},
    config_keys=("lang2id", "id2lang", "language"),
    surface=surface,
    lacks=NO_NEXT_SENTENCE,
    checkpoints=(
        Checkpoint("FacebookAI/xlm-mlm-en-2048", "668 M", "CC-BY-NC-4.0", pickled=True),
        Checkpoint("FacebookAI/xlm-mlm-enfr-1024", "142 M", "CC-BY-NC-4.0", pickled=True),
        Checkpoint("FacebookAI/xlm-mlm-ende-1024", "142 M", "CC-BY-NC-4.0"),
        Checkpoint("FacebookAI/xlm-mlm-100-1280", "573 M", "CC-BY-NC-4.0", pickled=True),
    ),
    aliases={name: f"FacebookAI/{name}" for name in (
        "xlm-mlm-en-2048", "xlm-mlm-enfr-1024", "xlm-mlm-ende-1024", "xlm-mlm-enro-1024", "xlm-mlm-xnli15-1024",
        "xlm-mlm-tlm-xnli15-1024", "xlm-clm-enfr-1024", "xlm-clm-ende-1024", "xlm-mlm-17-1280", "xlm-mlm-100-1280")},
    note="checkpoints of several languages (enfr: en, fr; ende: de, en; xnli15 and 17, 100: those of their config) tell them apart "
         "by data.language and generation.language; without one the language embeddings are left out, and nothing is written. "
         "Causal ones (clm) write word by word, the others a mask at a time",
)
