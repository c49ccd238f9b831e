"""CTRL (Keskar et al. 2019): a decoder whose texts begin with a control code; its tokenizer gives no offsets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headstart.models.families.gpt2 import LACKS, words
from headstart.models.families.llama import classify_choices, classify_tokens
from headstart.models.family import Checkpoint, Family, by_last, continued, ended, pooled, span_head, tokens, unread_mask

if TYPE_CHECKING:
    from torch import Tensor


def classify(module: Any, states: Tensor) -> Tensor:
    """Linear, without a bias."""
    logits: Tensor = module.classifier(states)
    return logits


def surface(piece: str) -> str:
    """What a piece says: "gard@@" goes on in the next one."""
    return piece.removesuffix("@@")


# The sources that it was trained on, each named by the first word of its texts (Keskar et al. 2019, table 7).
CODES = (
    "Links", "Books", "Reviews", "Wikipedia", "News", "Questions", "Ask", "Opinion", "Explain", "Support", "Computing",
    "Technologies", "Science", "Politics", "Finance", "Legal", "Saving", "Retail", "Tip", "Weight", "Diet", "Fitness", "Running",
    "Pregnancy", "Relationship", "Relationships", "Confession", "Confessions", "Human", "Alone", "Thoughts", "Learned", "Writing",
    "Notion", "Narcissus", "Atheism", "Christianity", "Conspiracy", "Feminism", "Gaming", "Movies", "Netflix", "Joker", "Joke",
    "Funny", "Ass", "Teenage", "Horror", "Scary", "Norman", "India", "Event", "Extract", "Translation", "multilingual",
)

FAMILY = Family(
    "ctrl",
    {
        "sequence-classification": pooled("CTRLForSequenceClassification", classify),
        "token-classification": tokens("CTRLForTokenClassification", classify_tokens),
        "question-answering": tokens("CTRLForQuestionAnswering", span_head),
        "multiple-choice": ended("CTRLForMultipleChoice", classify_choices),
        "causal-language-model": continued("CTRLLMHeadModel", words),
    },
    kinds=("decoder",),
    has_types=False,
    inputs={"use_cache": False},
    pooling=by_last,
    layers="h",
    first_only="",
    packed_mask=unread_mask,
    dropouts=("resid_pdrop", "embd_pdrop", "classifier_dropout"),
    attention_dropouts=(),
    names={"width": "n_embd", "layers": "n_layer", "positions": "n_positions"},
    config_keys=("classifier_dropout",),
    surface=surface,
    codes=CODES,
    advice="CTRL writes best at a low temperature (0 to 0.7) with a repetition penalty of about 1.2 (Keskar et al. 2019, section 4.1)",
    lacks=LACKS,
    checkpoints=(Checkpoint("Salesforce/ctrl", "1.6 B", "BSD-3-Clause", pickled=True),),
    aliases={"ctrl": "Salesforce/ctrl"},
)
