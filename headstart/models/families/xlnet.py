"""XLNet (Yang et al. 2019): distances instead of positions, no limit of length, its classification token comes last."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from headstart.models.family import (
    NO_NEXT_SENTENCE,
    Checkpoint,
    Family,
    beam_span_head,
    causal_lm_head,
    sequence_head,
    span_classifier,
    token_head,
)

if TYPE_CHECKING:
    from torch import Tensor


def pooling(config: Any) -> str:
    """As the config says: the last token if nothing else."""
    return config.summary_type if config.summary_type in ("first", "mean") else "last"


def classify(module: Any, states: Tensor) -> Tensor:
    """Summary (dense, tanh, dropout), linear."""
    logits: Tensor = module.logits_proj(module.sequence_summary(states[:, None]))
    return logits


def vocabulary_logits(module: Any, states: Tensor) -> Tensor:
    """The transposed embeddings."""
    logits: Tensor = module.lm_loss(states)
    return logits


def two_stream_inputs(inputs: dict[str, Any], random_order: bool) -> dict[str, Any]:
    """Inputs of the two-stream attention (Yang et al. 2019, section 2.3), from left to right or in a random order for
    each row.

    The state at position p, (B, S, W), is the query stream's for the token at p + 1, which sees the tokens before p + 1
    in the order: from left to right 0 to p. One position more stands at the end, to be predicted and not to be seen.
    """
    import torch

    input_ids = inputs["input_ids"]
    rows, length = input_ids.shape
    ranks = torch.arange(length + 1, device=input_ids.device).expand(rows, -1)
    if random_order:  # by torch's generator, which the loop seeds for each step
        ranks = torch.rand(rows, length + 1, device=input_ids.device).argsort(1)
    stream_inputs = inputs | {"input_ids": torch.nn.functional.pad(input_ids, (0, 1)),
                     "perm_mask": (ranks[:, None, :] >= ranks[:, :, None]).float(),
                     "target_mapping": torch.eye(length + 1, device=input_ids.device)[1:].expand(rows, -1, -1)}
    stream_inputs["attention_mask"] = torch.nn.functional.pad(inputs["attention_mask"], (0, 1))
    del stream_inputs["token_type_ids"]  # a language model reads one text
    return stream_inputs


def classify_tokens(module: Any, states: Tensor) -> Tensor:
    """Linear."""
    logits: Tensor = module.classifier(states)
    return logits


def module_itself(module: Any) -> Any:
    """The answer head's layers are those of the module."""
    return module


PREFIX_TEXT = """The town lies where the river leaves the hills. In spring the water is high, and the ferry does not run for a week
or two; people then walk to the old bridge, an hour upstream. There was a market on the square as early as the
fifteenth century, and on Saturdays there is one still. Farmers bring vegetables, cheese and honey, and a baker from
the next valley sells bread from a van. The school has about two hundred pupils. Its windows look over the orchards
towards the station, from which a train leaves every hour. The library, opened in 1908, was enlarged twice; the reading
room has kept its long tables and green lamps. Many visitors come for the path along the river, which is easy to walk
and well marked. It begins behind the church, passes two mills and a quarry that was closed long ago, and ends at a
small lake. In winter, when the lake is frozen, children skate there until the evening."""
PREFIX_TEXT = " ".join(PREFIX_TEXT.split())  # of our own: a plain text about nothing in particular

FAMILY = Family(
    "xlnet",
    {
        "sequence-classification": sequence_head("XLNetForSequenceClassification", classify),
        "token-classification": token_head("XLNetForTokenClassification", classify_tokens),
        "question-answering": token_head("XLNetForQuestionAnsweringSimple", span_classifier),
        "question-answering-beams": beam_span_head("XLNetForQuestionAnswering", module_itself),
        "multiple-choice": sequence_head("XLNetForMultipleChoice", classify),
        "causal-language-model": dataclasses.replace(
            causal_lm_head("XLNetLMHeadModel", vocabulary_logits), prepare_inputs=two_stream_inputs,
            scores_stepwise=True),
    },
    kinds=("encoder", "decoder"),
    float_mask=True,
    packs=False,  # attention of its own, by distances between positions of the row
    position_ids=False,
    time_first=True,
    max_length=512,
    left_pads=False,
    generation_prefix=f"{PREFIX_TEXT} <eod>",
    forward_inputs={"use_mems": False},
    pooling=pooling,
    layer_path="layer",
    layers_get_fp32=True,  # those of the second stream: the library gives them positions in fp32
    dropouts=("dropout", "summary_last_dropout"),
    attention_dropouts=(),
    size_keys={"width": "d_model", "layers": "n_layer"},
    missing_heads=NO_NEXT_SENTENCE | {"masked-language-model": "it was pretrained on tokens in a random order, without "
                                                               "a mask"},
    checkpoints=(
        Checkpoint("xlnet/xlnet-base-cased", "117 M", "MIT", pickled=True),
        Checkpoint("xlnet/xlnet-large-cased", "360 M", "MIT", pickled=True),
    ),
    note="as a language model it is evaluated from left to right (two-stream attention) and trained so, or in random "
         "orders with task.order=drawn; headstart generate generates as the library does",
    aliases={name: f"xlnet/{name}" for name in ("xlnet-base-cased", "xlnet-large-cased")},
)
