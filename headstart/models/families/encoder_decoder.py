"""Two models in one (Rothe et al. 2020): an encoder such as BERT reads, another with attention to it writes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headstart.models.family import READS_NOTHING, Checkpoint, Family, rewritten

if TYPE_CHECKING:
    from torch import Tensor


def rewrite(module: Any, inputs: dict[str, Tensor]) -> Tensor:
    """The decoder's last states, (N, L, W), for sources and what is written so far."""
    source = module.encoder(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"])[0]
    if hasattr(module, "enc_to_dec_proj"):  # the two are of unlike width
        source = module.enc_to_dec_proj(source)
    states: Tensor = module.decoder.base_model(
        input_ids=inputs["decoder_input_ids"], attention_mask=inputs["decoder_attention_mask"], encoder_hidden_states=source,
        encoder_attention_mask=inputs["attention_mask"], use_cache=False)[0]
    return states


def words(module: Any, states: Tensor) -> Tensor:
    """The decoder's own head over its vocabulary."""
    decoder = module.decoder
    head = next(part for name in ("cls", "lm_head", "generator_predictions") if (part := getattr(decoder, name, None)) is not None)
    logits: Tensor = head(states)
    return logits


def offset(config: Any) -> int:
    """RoBERTa counts positions from the one after its padding."""
    return int(config.encoder.pad_token_id) + 1 if config.encoder.model_type in ("roberta", "xlm-roberta") else 0


FAMILY = Family(
    "encoder-decoder",
    {"sequence-to-sequence": rewritten("EncoderDecoderModel", words)},
    kinds=("encoder-decoder",),
    packs=False,
    has_types=False,
    numbered=False,
    rewrite=rewrite,
    position_offset=offset,
    layers="encoder.encoder.layer",
    first_only="",
    dropouts=("encoder.hidden_dropout_prob", "decoder.hidden_dropout_prob"),
    attention_dropouts=("encoder.attention_probs_dropout_prob", "decoder.attention_probs_dropout_prob"),
    names={"width": "decoder.hidden_size", "layers": "encoder.num_hidden_layers", "positions": "encoder.max_position_embeddings"},
    config_keys=("encoder", "decoder", "vocab_size"),
    lacks=READS_NOTHING,
    checkpoints=(Checkpoint("patrickvonplaten/bert2bert_cnn_daily_mail", "247 M", "Apache-2.0", pickled=True, verified=False),),
    note="pairs of BERT or RoBERTa, as EncoderDecoderModel of transformers saves them",
)
