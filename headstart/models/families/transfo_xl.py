"""Transformer-XL in the catalogue: a decoder that remembers what it read; the model is headstart's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headstart.models.families.gpt2 import LACKS, classify
from headstart.models.families.xlnet import PASSAGE
from headstart.models.family import Checkpoint, Family, Head, Output, by_last, pooled, span_head, token_head, tokens

if TYPE_CHECKING:
    from torch import Tensor


def words(module: Any, states: Tensor) -> Tensor:
    """Log-probabilities, cluster by cluster."""
    logs: Tensor = module.crit(states)
    return logs


def surface(piece: str) -> str:
    """What a word says; its tokenizer tells the characters itself."""
    return piece


FAMILY = Family(
    "transfo-xl",
    {
        "sequence-classification": pooled("TransfoXLForSequenceClassification", classify),
        "token-classification": tokens("TransfoXLForTokenClassification", token_head),
        "question-answering": tokens("TransfoXLForQuestionAnswering", span_head),
        "multiple-choice": pooled("TransfoXLForMultipleChoice", classify),
        "causal-language-model": Head("TransfoXLLMHeadModel", {"logits": Output("asked", words)}, keeps=("",), continues=True,
                                      scorer="crit"),
    },
    kinds=("decoder",),
    packs=False,  # attention of its own, by distances between places of the row
    has_types=False,
    numbered=False,
    longest=512,
    passage=f"{PASSAGE} <eos>",
    memory="mems",
    own=True,
    pooling=by_last,
    layers="layers",
    first_only="",
    dropouts=("dropout",),
    attention_dropouts=("dropatt",),
    names={"width": "d_model", "layers": "n_layer"},
    surface=surface,
    lacks=LACKS,
    checkpoints=(Checkpoint("transfo-xl/transfo-xl-wt103", "285 M", "not stated", pickled=True),),
    aliases={"transfo-xl-wt103": "transfo-xl/transfo-xl-wt103"},
    note="transformers has no Transformer-XL any more: the model here is headstart's own, and plain transformers reads its "
         "folders after `import headstart.models.register`",
)
