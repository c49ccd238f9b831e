"""BART (Lewis et al. 2019): BERT's encoder and GPT's decoder, pretrained on mending texts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headstart.models.family import READS_NOTHING, Checkpoint, Family, rewritten

if TYPE_CHECKING:
    from torch import Tensor

LAYER_DROPS = ("encoder_layerdrop", "decoder_layerdrop")


def rewrite(module: Any, inputs: dict[str, Tensor]) -> Tensor:
    """The decoder's last states, (N, L, W), for sources and what is written so far."""
    states: Tensor = module.model(**inputs, use_cache=False)[0]
    return states


def words(module: Any, states: Tensor) -> Tensor:
    """The embeddings turned round, and a bias for each piece."""
    logits: Tensor = module.lm_head(states) + module.final_logits_bias[0]
    return logits


FAMILY = Family(
    "bart",
    {"sequence-to-sequence": rewritten("BartForConditionalGeneration", words)},
    kinds=("encoder-decoder",),
    packs=False,
    has_types=False,
    numbered=False,
    rewrite=rewrite,
    packed_pairs="bart",
    layers="encoder.layers decoder.layers",
    first_only="",
    dropouts=("dropout", "activation_dropout", "classifier_dropout"),
    attention_dropouts=("attention_dropout",),
    layer_drops=LAYER_DROPS,
    names={"width": "d_model", "layers": "encoder_layers", "positions": "max_position_embeddings"},
    lacks=READS_NOTHING,
    checkpoints=(
        Checkpoint("facebook/bart-base", "139 M", "Apache-2.0"),
        Checkpoint("facebook/bart-large", "406 M", "Apache-2.0", pickled=True),
        Checkpoint("facebook/bart-large-cnn", "406 M", "MIT"),
        Checkpoint("sshleifer/distilbart-cnn-12-6", "306 M", "Apache-2.0", pickled=True),
    ),
)
