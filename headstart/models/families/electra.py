"""ELECTRA (Clark et al. 2020): the discriminator is what is fine-tuned."""

from headstart.models.family import Checkpoint, Family, head_module

FAMILY = Family(
    "electra",
    {"sequence-classification": "ElectraForSequenceClassification"},
    head_module,
    checkpoints=(
        Checkpoint("google/electra-small-discriminator", "14 M", "Apache-2.0"),
        Checkpoint("google/electra-base-discriminator", "109 M", "Apache-2.0"),
        Checkpoint("google/electra-large-discriminator", "335 M", "Apache-2.0"),
    ),
)
