"""RoBERTa (Liu et al. 2019): positions begin after the padding id; one segment only."""

from __future__ import annotations

from typing import Any

from headstart.models.family import Checkpoint, Family, head_module


def after_padding(config: Any) -> int:
    """The first position is padding_idx + 1 (2 in every published checkpoint)."""
    return int(config.pad_token_id) + 1


FAMILY = Family(
    "roberta",
    {"sequence-classification": "RobertaForSequenceClassification"},
    head_module,
    position_offset=after_padding,
    checkpoints=(
        Checkpoint("FacebookAI/roberta-base", "125 M", "MIT"),
        Checkpoint("FacebookAI/roberta-large", "355 M", "MIT"),
        Checkpoint("distilbert/distilroberta-base", "82 M", "Apache-2.0"),
    ),
    aliases={"roberta-base": "FacebookAI/roberta-base", "roberta-large": "FacebookAI/roberta-large",
             "roberta-large-mnli": "FacebookAI/roberta-large-mnli", "distilroberta-base": "distilbert/distilroberta-base"},
)
