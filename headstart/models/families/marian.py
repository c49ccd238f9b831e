"""Marian (Tiedemann and Thottingal 2020): translation, one checkpoint for each pair of languages."""

from headstart.models.family import READS_NOTHING, Checkpoint, Family, written

FAMILY = Family(
    "marian",
    {"sequence-to-sequence": written("MarianMTModel")},
    kinds=("encoder-decoder",),
    packs=False,
    has_types=False,
    numbered=False,
    layers="encoder.layers decoder.layers",
    first_only="",
    dropouts=("dropout", "activation_dropout"),
    attention_dropouts=("attention_dropout",),
    names={"width": "d_model", "layers": "encoder_layers", "positions": "max_position_embeddings"},
    lacks=READS_NOTHING,
    checkpoints=(
        Checkpoint("Helsinki-NLP/opus-mt-en-de", "75 M", "CC-BY-4.0", pickled=True),
        Checkpoint("Helsinki-NLP/opus-mt-en-fr", "75 M", "Apache-2.0", pickled=True),
        Checkpoint("Helsinki-NLP/opus-mt-fr-en", "75 M", "Apache-2.0", pickled=True),
    ),
)
