"""XLM-RoBERTa (Conneau et al. 2019): RoBERTa over 100 languages, with a sentencepiece vocabulary."""

from headstart.models.families.roberta import heads, position_offset
from headstart.models.family import NO_NEXT_SENTENCE, Checkpoint, Family

FAMILY = Family(
    "xlm-roberta",
    heads("XLMRoberta"),
    kinds=("encoder", "decoder"),
    forward_inputs={"use_cache": False},
    first_token_layer="bert",
    layer_rows="packed",
    decoder_config={"is_decoder": True},
    position_offset=position_offset,
    missing_heads=NO_NEXT_SENTENCE,
    checkpoints=(
        Checkpoint("FacebookAI/xlm-roberta-base", "278 M", "MIT", verified=False),
        Checkpoint("FacebookAI/xlm-roberta-large", "560 M", "MIT"),
    ),
    aliases={"xlm-roberta-base": "FacebookAI/xlm-roberta-base", "xlm-roberta-large": "FacebookAI/xlm-roberta-large"},
)
