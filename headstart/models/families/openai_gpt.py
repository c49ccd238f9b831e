"""GPT (Radford et al. 2018): a decoder before GPT-2, with lower-case words."""

from headstart.models.families.gpt2 import LACKS, classify, double, words
from headstart.models.families.llama import classify_tokens
from headstart.models.family import Checkpoint, Family, by_last, continued, pooled, span_head, tokens

FAMILY = Family(
    "openai-gpt",
    {
        "sequence-classification": pooled("OpenAIGPTForSequenceClassification", classify),
        "token-classification": tokens("OpenAIGPTForTokenClassification", classify_tokens),
        "question-answering": tokens("OpenAIGPTForQuestionAnswering", span_head),
        "multiple-choice": double("OpenAIGPTDoubleHeadsModel"),
        "causal-language-model": continued("OpenAIGPTLMHeadModel", words),
    },
    kinds=("decoder",),
    packs=False,  # attention of its own
    has_types=False,
    pooling=by_last,
    layers="h",
    first_only="",
    dropouts=("resid_pdrop", "embd_pdrop", "summary_first_dropout", "classifier_dropout"),
    attention_dropouts=("attn_pdrop",),
    names={"width": "n_embd", "layers": "n_layer", "positions": "n_positions"},
    config_keys=("classifier_dropout",),
    lacks=LACKS,
    checkpoints=(Checkpoint("openai-community/openai-gpt", "117 M", "MIT"),),
    aliases={"openai-gpt": "openai-community/openai-gpt"},
)
