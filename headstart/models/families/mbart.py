"""mBART (Liu et al. 2020): BART over 25 or 50 languages, told apart by a token."""

from headstart.models.families.bart import LAYER_DROPS, rewrite, words
from headstart.models.family import READS_NOTHING, Checkpoint, Family, rewritten

FAMILY = Family(
    "mbart",
    {"sequence-to-sequence": rewritten("MBartForConditionalGeneration", words)},
    kinds=("encoder-decoder",),
    packs=False,
    has_types=False,
    numbered=False,
    rewrite=rewrite,
    packed_pairs="bart",
    speaks=True,
    layers="encoder.layers decoder.layers",
    first_only="",
    dropouts=("dropout", "activation_dropout", "classifier_dropout"),
    attention_dropouts=("attention_dropout",),
    layer_drops=LAYER_DROPS,
    names={"width": "d_model", "layers": "encoder_layers", "positions": "max_position_embeddings"},
    lacks=READS_NOTHING,
    checkpoints=(
        Checkpoint("facebook/mbart-large-cc25", "611 M", "not stated", pickled=True),
        Checkpoint("facebook/mbart-large-50-many-to-many-mmt", "611 M", "not stated"),
    ),
    note="data.language and data.target_language say which language is read and which is written (en_XX, ro_RO)",
)
