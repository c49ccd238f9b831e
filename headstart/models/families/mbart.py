"""mBART (Liu et al. 2020): BART over 25 or 50 languages, told apart by a token."""

from headstart.models.family import READS_NOTHING, Checkpoint, Family, written

FAMILY = Family(
    "mbart",
    {"sequence-to-sequence": written("MBartForConditionalGeneration")},
    kinds=("encoder-decoder",),
    packs=False,
    has_types=False,
    numbered=False,
    layers="encoder.layers decoder.layers",
    first_only="",
    dropouts=("dropout", "activation_dropout", "classifier_dropout"),
    attention_dropouts=("attention_dropout",),
    names={"width": "d_model", "layers": "encoder_layers", "positions": "max_position_embeddings"},
    lacks=READS_NOTHING,
    checkpoints=(
        Checkpoint("facebook/mbart-large-cc25", "611 M", "not stated", pickled=True),
        Checkpoint("facebook/mbart-large-50-many-to-many-mmt", "611 M", "not stated"),
    ),
)
