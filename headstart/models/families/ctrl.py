"""CTRL (Keskar et al. 2019): a decoder whose texts begin with a control code; its tokenizer gives no offsets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headstart.models.families.gpt2 import MISSING_HEADS, vocabulary_logits
from headstart.models.families.llama import classify_choices, classify_tokens
from headstart.models.family import (
    Checkpoint,
    Family,
    causal_lm_head,
    last_token_head,
    last_token_pooling,
    placeholder_mask,
    sequence_head,
    span_classifier,
    token_head,
)

if TYPE_CHECKING:
    from torch import Tensor


def classify(module: Any, states: Tensor) -> Tensor:
    """Linear, without a bias."""
    logits: Tensor = module.classifier(states)
    return logits


def piece_text(piece: str) -> str:
    """A piece's characters: "gard@@" is continued by the next piece."""
    return piece.removesuffix("@@")


# One code for each source of its training texts (Keskar et al. 2019, table 7).
CONTROL_CODES = (
    "Links", "Books", "Reviews", "Wikipedia", "News", "Questions", "Ask", "Opinion", "Explain", "Support", "Computing",
    "Technologies", "Science", "Politics", "Finance", "Legal", "Saving", "Retail", "Tip", "Weight", "Diet", "Fitness",
    "Running",
    "Pregnancy", "Relationship", "Relationships", "Confession", "Confessions", "Human", "Alone", "Thoughts", "Learned",
    "Writing",
    "Notion", "Narcissus", "Atheism", "Christianity", "Conspiracy", "Feminism", "Gaming", "Movies", "Netflix", "Joker",
    "Joke",
    "Funny", "Ass", "Teenage", "Horror", "Scary", "Norman", "India", "Event", "Extract", "Translation", "multilingual",
)

FAMILY = Family(
    "ctrl",
    {
        "sequence-classification": sequence_head("CTRLForSequenceClassification", classify),
        "token-classification": token_head("CTRLForTokenClassification", classify_tokens),
        "question-answering": token_head("CTRLForQuestionAnswering", span_classifier),
        "multiple-choice": last_token_head("CTRLForMultipleChoice", classify_choices),
        "causal-language-model": causal_lm_head("CTRLLMHeadModel", vocabulary_logits),
    },
    kinds=("decoder",),
    has_token_types=False,
    forward_inputs={"use_cache": False},
    pooling=last_token_pooling,
    contrastive_search=True,
    layer_path="h",
    packed_mask=placeholder_mask,
    dropouts=("resid_pdrop", "embd_pdrop", "classifier_dropout"),
    attention_dropouts=(),
    size_keys={"width": "n_embd", "layers": "n_layer", "positions": "n_positions"},
    config_keys=("classifier_dropout",),
    piece_text=piece_text,
    control_codes=CONTROL_CODES,
    sampling_hint="CTRL generates best at a low temperature (0 to 0.7) with a repetition penalty of about 1.2 "
                  "(Keskar et al. 2019, section 4.1)",
    missing_heads=MISSING_HEADS,
    checkpoints=(Checkpoint("Salesforce/ctrl", "1.6 B", "BSD-3-Clause", pickled=True),),
    aliases={"ctrl": "Salesforce/ctrl"},
)
