"""XLM (Lample and Conneau 2019): an encoder over several languages; its tokenizer is Moses and gives no offsets."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from headstart.models.families.xlnet import classify, pooling
from headstart.models.family import (
    NO_NEXT_SENTENCE,
    Checkpoint,
    Family,
    beam_span_head,
    causal_lm_head,
    masked_lm_head,
    sequence_head,
    span_classifier,
    token_classifier,
    token_head,
)

if TYPE_CHECKING:
    from torch import Tensor


def summary_logits(module: Any, states: Tensor) -> Tensor:
    """Dropout, linear."""
    logits: Tensor = module.sequence_summary(states[:, None])
    return logits


def vocabulary_logits(module: Any, states: Tensor) -> Tensor:
    """The transposed embeddings."""
    logits: Tensor = module.pred_layer.proj(states)
    return logits


def answer_head(module: Any) -> Any:
    """The module with the answer head's layers."""
    return module.qa_outputs


def piece_text(piece: str) -> str:
    """A piece's characters: "roses</w>" ends a word."""
    return piece.removesuffix("</w>")


def step_inputs(ids: Tensor, mask_id: int | None, language: int | None) -> dict[str, Any]:
    """The inputs of a step that generates: (B, S), with a mask at the end where the head sees both sides.

    A causal XLM reads the scores of the next word at the last one; the library appends a mask, which such a model never
    saw there. A masked XLM has its own mask token appended.
    """
    import torch

    if mask_id is not None:
        ids = torch.nn.functional.pad(ids, (0, 1), value=mask_id)
    return {"input_ids": ids, "langs": None if language is None else torch.full_like(ids, language)}


FAMILY = Family(
    "xlm",
    {
        "sequence-classification": sequence_head("XLMForSequenceClassification", summary_logits),
        "token-classification": token_head("XLMForTokenClassification", token_classifier),
        "question-answering": token_head("XLMForQuestionAnsweringSimple", span_classifier),
        "question-answering-beams": beam_span_head("XLMForQuestionAnswering", answer_head),
        "multiple-choice": sequence_head("XLMForMultipleChoice", classify),
        "masked-language-model": dataclasses.replace(masked_lm_head("XLMWithLMHeadModel", vocabulary_logits),
                                                     fills_masks=True, scores_stepwise=True),
        "causal-language-model": causal_lm_head("XLMWithLMHeadModel", vocabulary_logits),
    },
    kinds=("encoder", "decoder"),
    packs=False,  # attention of its own, masks by row
    has_token_types=False,
    decoder_config={"causal": True},
    left_pads=False,
    step_inputs=step_inputs,
    pooling=pooling,
    layer_path="attentions layer_norm1 ffns layer_norm2",
    dropouts=("dropout", "summary_first_dropout"),
    attention_dropouts=("attention_dropout",),
    size_keys={"width": "emb_dim", "layers": "n_layers", "positions": "max_position_embeddings"},
    config_keys=("lang2id", "id2lang", "language"),
    piece_text=piece_text,
    missing_heads=NO_NEXT_SENTENCE,
    checkpoints=(
        Checkpoint("FacebookAI/xlm-mlm-en-2048", "668 M", "CC-BY-NC-4.0", pickled=True),
        Checkpoint("FacebookAI/xlm-mlm-enfr-1024", "142 M", "CC-BY-NC-4.0", pickled=True),
        Checkpoint("FacebookAI/xlm-mlm-ende-1024", "142 M", "CC-BY-NC-4.0"),
        Checkpoint("FacebookAI/xlm-mlm-100-1280", "573 M", "CC-BY-NC-4.0", pickled=True),
    ),
    aliases={name: f"FacebookAI/{name}" for name in (
        "xlm-mlm-en-2048", "xlm-mlm-enfr-1024", "xlm-mlm-ende-1024", "xlm-mlm-enro-1024", "xlm-mlm-xnli15-1024",
        "xlm-mlm-tlm-xnli15-1024", "xlm-clm-enfr-1024", "xlm-clm-ende-1024", "xlm-mlm-17-1280", "xlm-mlm-100-1280")},
    note="checkpoints of several languages (enfr: en, fr; ende: de, en; xnli15 and 17, 100: those of their config) "
         "tell them apart by data.language and generation.language; without one the language embeddings are left out, "
         "and no text is generated. Causal ones (clm) generate token by token, the others a mask at a time",
)
