"""PEGASUS (Zhang et al. 2019): pretrained on writing the sentences that were left out, for summaries."""

from headstart.models.families.bart import LAYER_DROPS, seq2seq_forward, vocabulary_logits
from headstart.models.family import ONLY_SEQ2SEQ, Checkpoint, Family, seq2seq_head

FAMILY = Family(
    "pegasus",
    {"sequence-to-sequence": seq2seq_head("PegasusForConditionalGeneration", vocabulary_logits)},
    kinds=("encoder-decoder",),
    packs=False,
    has_token_types=False,
    position_ids=False,
    seq2seq_forward=seq2seq_forward,
    packed_forward="bart",
    contrastive_search=True,
    layer_path="encoder.layers decoder.layers",
    dropouts=("dropout", "activation_dropout"),
    attention_dropouts=("attention_dropout",),
    layer_drops=LAYER_DROPS,
    size_keys={"width": "d_model", "layers": "encoder_layers", "positions": "max_position_embeddings"},
    missing_heads=ONLY_SEQ2SEQ,
    checkpoints=(
        Checkpoint("google/pegasus-large", "571 M", "not stated", pickled=True),
        Checkpoint("google/pegasus-xsum", "570 M", "not stated", pickled=True),
        Checkpoint("google/pegasus-cnn_dailymail", "571 M", "not stated", pickled=True),
    ),
)
