"""BART (Lewis et al. 2019): BERT's encoder and GPT's decoder, pretrained on mending texts."""

from headstart.models.family import READS_NOTHING, Checkpoint, Family, written

FAMILY = Family(
    "bart",
    {"sequence-to-sequence": written("BartForConditionalGeneration")},
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
        Checkpoint("facebook/bart-base", "139 M", "Apache-2.0"),
        Checkpoint("facebook/bart-large", "406 M", "Apache-2.0", pickled=True),
        Checkpoint("facebook/bart-large-cnn", "406 M", "MIT"),
        Checkpoint("sshleifer/distilbart-cnn-12-6", "306 M", "Apache-2.0", pickled=True),
    ),
)
