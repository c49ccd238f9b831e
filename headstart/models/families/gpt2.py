"""GPT-2 (Radford et al. 2019): a decoder; the head of a text reads its last token."""

from __future__ import annotations

from headstart.models.family import (
    Checkpoint,
    Family,
    asked,
    by_last,
    no_mask,
    pooled,
    score_head,
    span_head,
    token_head,
    tokens,
    vocabulary_head,
)

FAMILY = Family(
    "gpt2",
    {
        "causal-language-model": asked("GPT2LMHeadModel", vocabulary_head),
        "sequence-classification": pooled("GPT2ForSequenceClassification", score_head),
        "token-classification": tokens("GPT2ForTokenClassification", token_head),
        "question-answering": tokens("GPT2ForQuestionAnswering", span_head),
    },
    kinds=("decoder",),
    has_types=False,
    causal=True,
    pooling=by_last,
    layers="h",
    above=("ln_f",),
    first_only="",
    packed_mask=no_mask,
    dropouts=("embd_pdrop", "resid_pdrop"),
    attention_dropouts=("attn_pdrop",),
    names={"width": "n_embd", "layers": "n_layer", "positions": "n_positions"},
    checkpoints=(
        Checkpoint("distilbert/distilgpt2", "82 M", "Apache-2.0"),
        Checkpoint("openai-community/gpt2", "124 M", "MIT"),
        Checkpoint("openai-community/gpt2-medium", "355 M", "MIT"),
    ),
    aliases={"distilgpt2": "distilbert/distilgpt2"} | {name: f"openai-community/{name}" for name in (
        "gpt2", "gpt2-medium", "gpt2-large", "gpt2-xl")},
)
