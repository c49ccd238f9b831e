"""GPT-2 (Radford et al. 2019): a decoder; heads on a text read its last token, the only one that sees the whole text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headstart.models.family import (
    NO_NEXT_SENTENCE,
    Checkpoint,
    Family,
    Head,
    causal_lm_head,
    last_token_head,
    last_token_pooling,
    placeholder_mask,
    sequence_head,
    span_classifier,
    token_classifier,
    token_head,
)

if TYPE_CHECKING:
    from torch import Tensor


def classify(module: Any, states: Tensor) -> Tensor:
    """Linear, without a bias."""
    logits: Tensor = module.score(states)
    return logits


def vocabulary_logits(module: Any, states: Tensor) -> Tensor:
    """The transposed embeddings."""
    logits: Tensor = module.lm_head(states)
    return logits


def choice_logits(module: Any, states: Tensor) -> Tensor:
    """Dropout, linear, on the last token."""
    logits: Tensor = module.multiple_choice_head(states[:, None])
    return logits


def double_heads(class_name: str) -> Head:
    """A multiple-choice head beside the language model head of pretraining."""
    return last_token_head(class_name, choice_logits, pretrained_prefixes=("transformer", "lm_head"),
                           lm_head=vocabulary_logits)


MISSING_HEADS = NO_NEXT_SENTENCE | {
    "masked-language-model": "a decoder sees only the tokens before a token",
}

FAMILY = Family(
    "gpt2",
    {
        "sequence-classification": sequence_head("GPT2ForSequenceClassification", classify),
        "token-classification": token_head("GPT2ForTokenClassification", token_classifier),
        "question-answering": token_head("GPT2ForQuestionAnswering", span_classifier),
        "multiple-choice": double_heads("GPT2DoubleHeadsModel"),
        "causal-language-model": causal_lm_head("GPT2LMHeadModel", vocabulary_logits),
    },
    kinds=("decoder",),
    has_token_types=False,
    forward_inputs={"use_cache": False},
    pooling=last_token_pooling,
    contrastive_search=True,
    prompt_lookup=True,
    steering=True,
    layer_path="h",
    packed_mask=placeholder_mask,
    dropouts=("resid_pdrop", "embd_pdrop", "summary_first_dropout", "classifier_dropout"),
    attention_dropouts=("attn_pdrop",),
    size_keys={"width": "n_embd", "layers": "n_layer", "positions": "n_positions"},
    config_keys=("classifier_dropout", "hidden_dropout"),
    missing_heads=MISSING_HEADS,
    checkpoints=(
        Checkpoint("distilbert/distilgpt2", "82 M", "Apache-2.0"),
        Checkpoint("openai-community/gpt2", "124 M", "MIT", verified=False),
        Checkpoint("openai-community/gpt2-medium", "355 M", "MIT"),
        Checkpoint("openai-community/gpt2-large", "774 M", "MIT"),
        Checkpoint("openai-community/gpt2-xl", "1.6 B", "MIT"),
    ),
    aliases={"distilgpt2": "distilbert/distilgpt2"} | {
        name: f"openai-community/{name}" for name in ("gpt2", "gpt2-medium", "gpt2-large", "gpt2-xl")},
)
