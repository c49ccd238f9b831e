"""mBART (Liu et al. 2020): BART over 25 or 50 languages, told apart by a token."""

from headstart.models.families.bart import LAYER_DROPS, seq2seq_forward, vocabulary_logits
from headstart.models.family import ONLY_SEQ2SEQ, Checkpoint, Family, seq2seq_head

FAMILY = Family(
    "mbart",
    {"sequence-to-sequence": seq2seq_head("MBartForConditionalGeneration", vocabulary_logits)},
    kinds=("encoder-decoder",),
    packs=False,
    has_token_types=False,
    position_ids=False,
    seq2seq_forward=seq2seq_forward,
    packed_forward="bart",
    language_tokens=True,
    contrastive_search=True,
    layer_path="encoder.layers decoder.layers",
    dropouts=("dropout", "activation_dropout", "classifier_dropout"),
    attention_dropouts=("attention_dropout",),
    layer_drops=LAYER_DROPS,
    size_keys={"width": "d_model", "layers": "encoder_layers", "positions": "max_position_embeddings"},
    missing_heads=ONLY_SEQ2SEQ,
    checkpoints=(
        Checkpoint("facebook/mbart-large-cc25", "611 M", "not stated", pickled=True),
        Checkpoint("facebook/mbart-large-50-many-to-many-mmt", "611 M", "not stated"),
    ),
    note="data.language and data.target_language are the languages of source and target (en_XX, ro_RO)",
)
