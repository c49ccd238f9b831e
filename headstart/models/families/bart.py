"""BART (Lewis et al. 2019): BERT's encoder and GPT's decoder, pretrained on mending texts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headstart.models.family import ONLY_SEQ2SEQ, Checkpoint, Family, seq2seq_head

if TYPE_CHECKING:
    from torch import Tensor

LAYER_DROPS = ("encoder_layerdrop", "decoder_layerdrop")


def seq2seq_forward(module: Any, inputs: dict[str, Tensor]) -> Tensor:
    """The decoder's last states, (N, L, W), for sources and target tokens."""
    states: Tensor = module.model(**inputs, use_cache=False)[0]
    return states


def vocabulary_logits(module: Any, states: Tensor) -> Tensor:
    """The transposed embeddings, and a bias for each piece."""
    logits: Tensor = module.lm_head(states) + module.final_logits_bias[0]
    return logits


FAMILY = Family(
    "bart",
    {"sequence-to-sequence": seq2seq_head("BartForConditionalGeneration", vocabulary_logits)},
    kinds=("encoder-decoder",),
    packs=False,
    has_token_types=False,
    position_ids=False,
    seq2seq_forward=seq2seq_forward,
    packed_forward="bart",
    contrastive_search=True,
    layer_path="encoder.layers decoder.layers",
    dropouts=("dropout", "activation_dropout", "classifier_dropout"),
    attention_dropouts=("attention_dropout",),
    layer_drops=LAYER_DROPS,
    size_keys={"width": "d_model", "layers": "encoder_layers", "positions": "max_position_embeddings"},
    missing_heads=ONLY_SEQ2SEQ,
    checkpoints=(
        Checkpoint("facebook/bart-base", "139 M", "Apache-2.0"),
        Checkpoint("facebook/bart-large", "406 M", "Apache-2.0", pickled=True),
        Checkpoint("facebook/bart-large-cnn", "406 M", "MIT"),
        Checkpoint("sshleifer/distilbart-cnn-12-6", "306 M", "Apache-2.0", pickled=True),
    ),
)
