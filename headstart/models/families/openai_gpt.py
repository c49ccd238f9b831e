"""GPT (Radford et al. 2018): a decoder before GPT-2, with lower-case words."""

from headstart.models.families.gpt2 import MISSING_HEADS, classify, double_heads, vocabulary_logits
from headstart.models.families.llama import classify_tokens
from headstart.models.family import (
                                     Checkpoint,
                                     Family,
                                     causal_lm_head,
                                     last_token_pooling,
                                     sequence_head,
                                     span_classifier,
                                     token_head,
)

FAMILY = Family(
    "openai-gpt",
    {
        "sequence-classification": sequence_head("OpenAIGPTForSequenceClassification", classify),
        "token-classification": token_head("OpenAIGPTForTokenClassification", classify_tokens),
        "question-answering": token_head("OpenAIGPTForQuestionAnswering", span_classifier),
        "multiple-choice": double_heads("OpenAIGPTDoubleHeadsModel"),
        "causal-language-model": causal_lm_head("OpenAIGPTLMHeadModel", vocabulary_logits),
    },
    kinds=("decoder",),
    packs=False,  # attention of its own
    has_token_types=False,
    pooling=last_token_pooling,
    contrastive_search=True,
    layer_path="h",
    dropouts=("resid_pdrop", "embd_pdrop", "summary_first_dropout", "classifier_dropout"),
    attention_dropouts=("attn_pdrop",),
    size_keys={"width": "n_embd", "layers": "n_layer", "positions": "n_positions"},
    config_keys=("classifier_dropout",),
    missing_heads=MISSING_HEADS,
    checkpoints=(Checkpoint("openai-community/openai-gpt", "117 M", "MIT"),),
    aliases={"openai-gpt": "openai-community/openai-gpt"},
)
