"""GPT-2 (Radford et al. 2019): a decoder; heads on a text read its last token, which alone has seen all of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headstart.models.family import (
    NO_NEXT_SENTENCE,
    Checkpoint,
    Family,
    Head,
    by_last,
    continued,
    ended,
    pooled,
    span_head,
    token_head,
    tokens,
    unread_mask,
)

if TYPE_CHECKING:
    from torch import Tensor


def classify(module: Any, states: Tensor) -> Tensor:
    """Linear, without a bias."""
    logits: Tensor = module.score(states)
    return logits


def words(module: Any, states: Tensor) -> Tensor:
    """The embeddings turned round."""
    logits: Tensor = module.lm_head(states)
    return logits


def choose(module: Any, states: Tensor) -> Tensor:
    """Dropout, linear, on the last token."""
    logits: Tensor = module.multiple_choice_head(states[:, None])
    return logits


def double(cls: str) -> Head:
    """A head that chooses, beside the one that pretraining made, which writes."""
    return ended(cls, choose, keeps=("transformer", "lm_head"), words=words)


LACKS = NO_NEXT_SENTENCE | {
    "masked-language-model": "a decoder sees only what stands before a token",
}

FAMILY = Family(
    "gpt2",
    {
        "sequence-classification": pooled("GPT2ForSequenceClassification", classify),
        "token-classification": tokens("GPT2ForTokenClassification", token_head),
        "question-answering": tokens("GPT2ForQuestionAnswering", span_head),
        "multiple-choice": double("GPT2DoubleHeadsModel"),
        "causal-language-model": continued("GPT2LMHeadModel", words),
    },
    kinds=("decoder",),
    has_types=False,
    inputs={"use_cache": False},
    pooling=by_last,
    layers="h",
    first_only="",
    packed_mask=unread_mask,
    dropouts=("resid_pdrop", "embd_pdrop", "summary_first_dropout", "classifier_dropout"),
    attention_dropouts=("attn_pdrop",),
    names={"width": "n_embd", "layers": "n_layer", "positions": "n_positions"},
    config_keys=("classifier_dropout", "hidden_dropout"),
    lacks=LACKS,
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
