"""T5 (Raffel et al. 2019): every task as text to text, distances in buckets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headstart.models.family import READS_NOTHING, Checkpoint, Family, rewritten

if TYPE_CHECKING:
    from torch import Tensor


def rewrite(module: Any, inputs: dict[str, Tensor]) -> Tensor:
    """The decoder's last states, (N, L, W), for sources and what is written so far."""
    source = module.encoder(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"])[0]
    states: Tensor = module.decoder(
        input_ids=inputs["decoder_input_ids"], attention_mask=inputs["decoder_attention_mask"], encoder_hidden_states=source,
        encoder_attention_mask=inputs["attention_mask"], use_cache=False)[0]
    return states


def words(module: Any, states: Tensor) -> Tensor:
    """The embeddings turned round; where the config says so, on states that are scaled down."""
    scaled = states * module.model_dim**-0.5 if module.config.scale_decoder_outputs else states
    logits: Tensor = module.lm_head(scaled)
    return logits

FAMILY = Family(
    "t5",
    {"sequence-to-sequence": rewritten("T5ForConditionalGeneration", words)},
    kinds=("encoder-decoder",),
    packs=False,
    has_types=False,
    numbered=False,
    rewrite=rewrite,
    packed_pairs="t5",
    layers="encoder.block decoder.block",
    first_only="",
    longest=512,
    dropouts=("dropout_rate", "classifier_dropout"),
    attention_dropouts=(),
    names={"width": "d_model", "layers": "num_layers"},
    config_keys=("scale_decoder_outputs", "tie_word_embeddings"),  # false in T5 1.1 and FLAN; the class has a field for neither
    lacks=READS_NOTHING,
    checkpoints=(
        Checkpoint("google-t5/t5-small", "61 M", "Apache-2.0", verified=False),
        Checkpoint("google-t5/t5-base", "223 M", "Apache-2.0"),
        Checkpoint("google-t5/t5-large", "738 M", "Apache-2.0"),
        Checkpoint("google/flan-t5-small", "77 M", "Apache-2.0", verified=False),
        Checkpoint("google/flan-t5-base", "248 M", "Apache-2.0"),
    ),
    aliases={name: f"google-t5/{name}" for name in ("t5-small", "t5-base", "t5-large", "t5-3b", "t5-11b")},
)
