"""LED (Beltagy et al. 2020): BART with Longformer's attention in the encoder, for long texts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headstart.models.families.bart import LAYER_DROPS, vocabulary_logits
from headstart.models.family import ONLY_SEQ2SEQ, Checkpoint, Family, seq2seq_head

if TYPE_CHECKING:
    from torch import Tensor


def encoder_inputs(input_ids: Tensor) -> dict[str, Tensor]:
    """The first token sees all others, and is seen by all (section 6.2 of the paper); the others see their neighbours.
    """
    global_attention_mask = input_ids.new_zeros(input_ids.shape)
    global_attention_mask[:, 0] = 1
    return {"global_attention_mask": global_attention_mask}


def seq2seq_forward(module: Any, inputs: dict[str, Tensor]) -> Tensor:
    """The decoder's last states, (N, L, W), for sources and target tokens."""
    states: Tensor = module.led(**inputs, **encoder_inputs(inputs["input_ids"]), use_cache=False)[0]
    return states


def attention_weights(output: Any) -> list[Tensor]:
    """Every layer's weights as a square, (B, H, S, S): the library gives a row for each token, of its weights for the
    token with global attention, then for its neighbours on either side; and the rows of that token apart.
    """
    squares = []
    for windows, global_weights in zip(output["attentions"], output["global_attentions"], strict=True):
        rows, heads, length, columns = windows.shape
        neighbours = (columns - 2) // 2  # on each side
        square = windows.new_zeros(rows, heads, length, length + 2 * neighbours)
        for token in range(length):
            square[:, :, token, token:token + 2 * neighbours + 1] = windows[:, :, token, 1:]
        square = square[..., neighbours:neighbours + length]
        square[..., 0] += windows[..., 0]
        square[:, :, 0] = global_weights[:, :, :length, 0]
        squares.append(square)
    return squares


FAMILY = Family(
    "led",
    {"sequence-to-sequence": seq2seq_head("LEDForConditionalGeneration", vocabulary_logits)},
    kinds=("encoder-decoder",),
    packs=False,
    has_token_types=False,
    position_ids=False,
    seq2seq_forward=seq2seq_forward,
    encoder_inputs=encoder_inputs,
    attention_weights=attention_weights,
    layer_path="encoder.layers decoder.layers",
    dropouts=("dropout", "activation_dropout", "classifier_dropout"),
    attention_dropouts=("attention_dropout",),
    layer_drops=LAYER_DROPS,
    size_keys={"width": "d_model", "layers": "encoder_layers", "positions": "max_encoder_position_embeddings"},
    missing_heads=ONLY_SEQ2SEQ,
    checkpoints=(
        Checkpoint("allenai/led-base-16384", "162 M", "Apache-2.0", verified=False),
        Checkpoint("allenai/led-large-16384-arxiv", "460 M", "Apache-2.0", verified=False),
    ),
    note="the first token of a source has global attention",
)
