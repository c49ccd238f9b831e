"""PEGASUS (Zhang et al. 2019): pretrained on writing the sentences that were left out, for summaries."""

from headstart.models.families.bart import LAYER_DROPS, rewrite, words
from headstart.models.family import READS_NOTHING, Checkpoint, Family, rewritten

FAMILY = Family(
    "pegasus",
    {"sequence-to-sequence": rewritten("PegasusForConditionalGeneration", words)},
    kinds=("encoder-decoder",),
    packs=False,
    has_types=False,
    numbered=False,
    rewrite=rewrite,
    packed_pairs="bart",
    layers="encoder.layers decoder.layers",
    first_only="",
    dropouts=("dropout", "activation_dropout"),
    attention_dropouts=("attention_dropout",),
    layer_drops=LAYER_DROPS,
    names={"width": "d_model", "layers": "encoder_layers", "positions": "max_position_embeddings"},
    lacks=READS_NOTHING,
    checkpoints=(
        Checkpoint("google/pegasus-large", "571 M", "not stated", pickled=True),
        Checkpoint("google/pegasus-xsum", "570 M", "not stated", pickled=True),
        Checkpoint("google/pegasus-cnn_dailymail", "571 M", "not stated", pickled=True),
    ),
)
