"""Transformer-XL in the catalogue: a decoder with a memory of earlier segments; the model is headstart's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headstart.models.families.gpt2 import MISSING_HEADS, classify
from headstart.models.families.xlnet import PREFIX_TEXT
from headstart.models.family import (
    Checkpoint,
    Family,
    Head,
    Output,
    last_token_pooling,
    sequence_head,
    span_classifier,
    token_classifier,
    token_head,
)

if TYPE_CHECKING:
    from torch import Tensor


def vocabulary_logits(module: Any, states: Tensor) -> Tensor:
    """Log-probabilities, cluster by cluster."""
    log_probabilities: Tensor = module.crit(states)
    return log_probabilities


def piece_text(piece: str) -> str:
    """A word as it is; its tokenizer gives offsets itself."""
    return piece


FAMILY = Family(
    "transfo-xl",
    {
        "sequence-classification": sequence_head("TransfoXLForSequenceClassification", classify),
        "token-classification": token_head("TransfoXLForTokenClassification", token_classifier),
        "question-answering": token_head("TransfoXLForQuestionAnswering", span_classifier),
        "multiple-choice": sequence_head("TransfoXLForMultipleChoice", classify),
        "causal-language-model": Head("TransfoXLLMHeadModel", {"logits": Output("positions", vocabulary_logits)},
                                      pretrained_prefixes=("",), causal=True, scorer="crit"),
    },
    kinds=("decoder",),
    packs=False,  # attention of its own, by distances between positions of the row
    has_token_types=False,
    position_ids=False,
    max_length=512,
    generation_prefix=f"{PREFIX_TEXT} <eos>",
    memory_name="mems",
    custom_class=True,
    pooling=last_token_pooling,
    layer_path="layers",
    dropouts=("dropout",),
    attention_dropouts=("dropatt",),
    size_keys={"width": "d_model", "layers": "n_layer"},
    piece_text=piece_text,
    missing_heads=MISSING_HEADS,
    checkpoints=(Checkpoint("transfo-xl/transfo-xl-wt103", "285 M", "not stated", pickled=True),),
    aliases={"transfo-xl-wt103": "transfo-xl/transfo-xl-wt103"},
    note="transformers has no Transformer-XL any more: the model here is headstart's own, and plain transformers reads "
         "its folders after `import headstart.models.register`",
)
