"""T5 (Raffel et al. 2019): every task as text to text, distances in buckets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headstart.models.family import ONLY_SEQ2SEQ, Checkpoint, Family, seq2seq_head

if TYPE_CHECKING:
    from torch import Tensor


def seq2seq_forward(module: Any, inputs: dict[str, Tensor]) -> Tensor:
    """The decoder's last states, (N, L, W), for sources and target tokens."""
    encoder_states = module.encoder(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"])[0]
    states: Tensor = module.decoder(
        input_ids=inputs["decoder_input_ids"], attention_mask=inputs["decoder_attention_mask"],
        encoder_hidden_states=encoder_states, encoder_attention_mask=inputs["attention_mask"], use_cache=False)[0]
    return states


def vocabulary_logits(module: Any, states: Tensor) -> Tensor:
    """The transposed embeddings; where the config says so, on states that are scaled down."""
    scaled_states = states * module.model_dim**-0.5 if module.config.scale_decoder_outputs else states
    logits: Tensor = module.lm_head(scaled_states)
    return logits

FAMILY = Family(
    "t5",
    {"sequence-to-sequence": seq2seq_head("T5ForConditionalGeneration", vocabulary_logits)},
    kinds=("encoder-decoder",),
    packs=False,
    has_token_types=False,
    position_ids=False,
    seq2seq_forward=seq2seq_forward,
    packed_forward="t5",
    contrastive_search=True,
    layer_path="encoder.block decoder.block",
    max_length=512,
    dropouts=("dropout_rate", "classifier_dropout"),
    attention_dropouts=(),
    size_keys={"width": "d_model", "layers": "num_layers"},
    # false in T5 1.1 and FLAN; the class has a field for neither
    config_keys=("scale_decoder_outputs", "tie_word_embeddings"),
    missing_heads=ONLY_SEQ2SEQ,
    checkpoints=(
        Checkpoint("google-t5/t5-small", "61 M", "Apache-2.0", verified=False),
        Checkpoint("google-t5/t5-base", "223 M", "Apache-2.0"),
        Checkpoint("google-t5/t5-large", "738 M", "Apache-2.0"),
        Checkpoint("google/flan-t5-small", "77 M", "Apache-2.0", verified=False),
        Checkpoint("google/flan-t5-base", "248 M", "Apache-2.0"),
    ),
    aliases={name: f"google-t5/{name}" for name in ("t5-small", "t5-base", "t5-large", "t5-3b", "t5-11b")},
)
