"""Marian (Tiedemann and Thottingal 2020): translation, one checkpoint for each pair of languages."""

from headstart.models.families.bart import LAYER_DROPS, seq2seq_forward, vocabulary_logits
from headstart.models.family import ONLY_SEQ2SEQ, Checkpoint, Family, seq2seq_head


def piece_text(piece: str) -> str:
    """A piece's characters: "▁roses" begins a word."""
    return piece.removeprefix("▁")


FAMILY = Family(
    "marian",
    {"sequence-to-sequence": seq2seq_head("MarianMTModel", vocabulary_logits)},
    kinds=("encoder-decoder",),
    packs=False,
    has_token_types=False,
    position_ids=False,
    seq2seq_forward=seq2seq_forward,
    packed_forward="bart",
    contrastive_search=True,
    layer_path="encoder.layers decoder.layers",
    piece_text=piece_text,
    dropouts=("dropout", "activation_dropout"),
    attention_dropouts=("attention_dropout",),
    layer_drops=LAYER_DROPS,
    size_keys={"width": "d_model", "layers": "encoder_layers", "positions": "max_position_embeddings"},
    missing_heads=ONLY_SEQ2SEQ,
    checkpoints=(
        Checkpoint("Helsinki-NLP/opus-mt-en-de", "75 M", "CC-BY-4.0", pickled=True),
        Checkpoint("Helsinki-NLP/opus-mt-en-fr", "75 M", "Apache-2.0", pickled=True),
        Checkpoint("Helsinki-NLP/opus-mt-fr-en", "75 M", "Apache-2.0", pickled=True),
    ),
    note="one checkpoint for each pair of languages; one of several target languages needs its code before each source "
         "(task.prefix='>>fra<< '). Its tokenizer needs the extra sentencepiece, and sacremoses",
)
