"""Marian (Tiedemann and Thottingal 2020): translation, one checkpoint for each pair of languages."""

from headstart.models.families.bart import LAYER_DROPS, rewrite, words
from headstart.models.family import READS_NOTHING, Checkpoint, Family, rewritten


def surface(piece: str) -> str:
    """What a piece says: "▁roses" begins a word."""
    return piece.removeprefix("▁")


FAMILY = Family(
    "marian",
    {"sequence-to-sequence": rewritten("MarianMTModel", words)},
    kinds=("encoder-decoder",),
    packs=False,
    has_types=False,
    numbered=False,
    rewrite=rewrite,
    packed_pairs="bart",
    layers="encoder.layers decoder.layers",
    first_only="",
    surface=surface,
    dropouts=("dropout", "activation_dropout"),
    attention_dropouts=("attention_dropout",),
    layer_drops=LAYER_DROPS,
    names={"width": "d_model", "layers": "encoder_layers", "positions": "max_position_embeddings"},
    lacks=READS_NOTHING,
    checkpoints=(
        Checkpoint("Helsinki-NLP/opus-mt-en-de", "75 M", "CC-BY-4.0", pickled=True),
        Checkpoint("Helsinki-NLP/opus-mt-en-fr", "75 M", "Apache-2.0", pickled=True),
        Checkpoint("Helsinki-NLP/opus-mt-fr-en", "75 M", "Apache-2.0", pickled=True),
    ),
    note="one checkpoint for each pair of languages; one of several target languages wants its code before each source "
         "(task.prefix='>>fra<< '). Its tokenizer needs the extra sentencepiece, and sacremoses",
)
