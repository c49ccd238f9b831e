"""XLM-RoBERTa (Conneau et al. 2019): RoBERTa over 100 languages, with a sentencepiece vocabulary."""

from headstart.models.families.roberta import after_padding, heads
from headstart.models.family import NO_NEXT_SENTENCE, Checkpoint, Family

FAMILY = Family(
    "xlm-roberta",
    heads("XLMRoberta"),
    kinds=("encoder", "decoder"),
    inputs={"use_cache": False},
    decodes={"is_decoder": True},
    position_offset=after_padding,
    lacks=NO_NEXT_SENTENCE,
    checkpoints=(
        Checkpoint("FacebookAI/xlm-roberta-base", "278 M", "MIT", verified=False),
        Checkpoint("FacebookAI/xlm-roberta-large", "560 M", "MIT"),
    ),
    aliases={"xlm-roberta-base": "FacebookAI/xlm-roberta-base", "xlm-roberta-large": "FacebookAI/xlm-roberta-large"},
)
