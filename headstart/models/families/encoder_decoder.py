"""Two models in one (Rothe et al. 2020): an encoder such as BERT, and another with cross-attention to it as decoder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headstart.models.families import roberta, xlm_roberta
from headstart.models.family import ONLY_SEQ2SEQ, Checkpoint, Family, seq2seq_head, zero_offset

if TYPE_CHECKING:
    from torch import Tensor

OFFSETS = {family.model_type: family.position_offset for family in (roberta.FAMILY, xlm_roberta.FAMILY)}


def seq2seq_forward(module: Any, inputs: dict[str, Tensor]) -> Tensor:
    """The decoder's last states, (N, L, W), for sources and target tokens."""
    encoder_states = module.encoder(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"])[0]
    if hasattr(module, "enc_to_dec_proj"):  # encoder and decoder have different widths
        encoder_states = module.enc_to_dec_proj(encoder_states)
    states: Tensor = module.decoder.base_model(
        input_ids=inputs["decoder_input_ids"], attention_mask=inputs["decoder_attention_mask"],
        encoder_hidden_states=encoder_states, encoder_attention_mask=inputs["attention_mask"], use_cache=False)[0]
    return states


def vocabulary_logits(module: Any, states: Tensor) -> Tensor:
    """The decoder's own head over its vocabulary."""
    decoder = module.decoder
    names = ("cls", "lm_head", "generator_predictions")
    head = next(layer for name in names if (layer := getattr(decoder, name, None)) is not None)
    logits: Tensor = head(states)
    return logits


def part_offset(config: Any) -> int:
    """The first position of one of the two: RoBERTa's start after the padding id."""
    return OFFSETS.get(config.model_type, zero_offset)(config)


def position_offset(config: Any) -> int:
    """The first position of a source."""
    return part_offset(config.encoder)


def max_target_length(config: Any) -> int:
    """The decoder's positions, but those before its first."""
    return int(config.decoder.max_position_embeddings) - part_offset(config.decoder)


FAMILY = Family(
    "encoder-decoder",
    {"sequence-to-sequence": seq2seq_head("EncoderDecoderModel", vocabulary_logits)},
    kinds=("encoder-decoder",),
    packs=False,
    has_token_types=False,
    position_ids=False,
    seq2seq_forward=seq2seq_forward,
    position_offset=position_offset,
    decoder_path="decoder",
    max_target_length=max_target_length,
    layer_path="encoder.encoder.layer",
    dropouts=("encoder.hidden_dropout_prob", "decoder.hidden_dropout_prob"),
    attention_dropouts=("encoder.attention_probs_dropout_prob", "decoder.attention_probs_dropout_prob"),
    size_keys={"width": "decoder.hidden_size", "layers": "encoder.num_hidden_layers",
               "positions": "encoder.max_position_embeddings"},
    config_keys=("encoder", "decoder", "vocab_size"),
    missing_heads=ONLY_SEQ2SEQ,
    checkpoints=(Checkpoint("patrickvonplaten/bert2bert_cnn_daily_mail", "247 M", "Apache-2.0", pickled=True,
                            verified=False),),
    note="pairs of BERT or RoBERTa, as EncoderDecoderModel of transformers saves them",
)
