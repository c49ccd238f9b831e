"""LED (Beltagy et al. 2020): BART with Longformer's attention in the encoder, for long texts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headstart.models.families.bart import LAYER_DROPS, words
from headstart.models.family import READS_NOTHING, Checkpoint, Family, rewritten

if TYPE_CHECKING:
    from torch import Tensor


def beside(ids: Tensor) -> dict[str, Tensor]:
    """The first token sees all others, and is seen by all (section 6.2 of the paper); the others see their neighbours."""
    everywhere = ids.new_zeros(ids.shape)
    everywhere[:, 0] = 1
    return {"global_attention_mask": everywhere}


def rewrite(module: Any, inputs: dict[str, Tensor]) -> Tensor:
    """The decoder's last states, (N, L, W), for sources and what is written so far."""
    states: Tensor = module.led(**inputs, **beside(inputs["input_ids"]), use_cache=False)[0]
    return states


FAMILY = Family(
    "led",
    {"sequence-to-sequence": rewritten("LEDForConditionalGeneration", words)},
    kinds=("encoder-decoder",),
    packs=False,
    has_types=False,
    numbered=False,
    rewrite=rewrite,
    beside=beside,
    layers="encoder.layers decoder.layers",
    first_only="",
    dropouts=("dropout", "activation_dropout", "classifier_dropout"),
    attention_dropouts=("attention_dropout",),
    layer_drops=LAYER_DROPS,
    names={"width": "d_model", "layers": "encoder_layers", "positions": "max_encoder_position_embeddings"},
    lacks=READS_NOTHING,
    checkpoints=(
        Checkpoint("allenai/led-base-16384", "162 M", "Apache-2.0", verified=False),
        Checkpoint("allenai/led-large-16384-arxiv", "460 M", "Apache-2.0", verified=False),
    ),
    note="the first token of a source has global attention",
)
