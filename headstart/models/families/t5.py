"""T5 (Raffel et al. 2019): every task as text to text, distances in buckets."""

from headstart.models.family import READS_NOTHING, Checkpoint, Family, written

FAMILY = Family(
    "t5",
    {"sequence-to-sequence": written("T5ForConditionalGeneration")},
    kinds=("encoder-decoder",),
    packs=False,
    has_types=False,
    numbered=False,
    layers="encoder.block decoder.block",
    first_only="",
    longest=512,
    dropouts=("dropout_rate", "classifier_dropout"),
    attention_dropouts=(),
    names={"width": "d_model", "layers": "num_layers"},
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
