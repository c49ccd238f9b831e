"""XLNet (Yang et al. 2019): distances instead of positions, no limit of length, its classification token comes last."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from headstart.models.family import NO_NEXT_SENTENCE, Checkpoint, Family, beam_answers, continued, pooled, span_head, tokens

if TYPE_CHECKING:
    from torch import Tensor


def pooling(config: Any) -> str:
    """As the config says: the last token if nothing else."""
    return config.summary_type if config.summary_type in ("first", "mean") else "last"


def classify(module: Any, states: Tensor) -> Tensor:
    """Summary (dense, tanh, dropout), linear."""
    logits: Tensor = module.logits_proj(module.sequence_summary(states[:, None]))
    return logits


def words(module: Any, states: Tensor) -> Tensor:
    """The embeddings turned round."""
    logits: Tensor = module.lm_loss(states)
    return logits


def two_streams(inputs: dict[str, Any], drawn: bool) -> dict[str, Any]:
    """Inputs of the two-stream attention (Yang et al. 2019, section 2.3), in the order of reading or in one drawn for each row.

    The state at place p, (B, S, W), is that of the question "what stands at p + 1?", which sees the tokens that come before
    p + 1 in the order: from left to right 0 to p. One place more stands at the end, to be asked for and not to be seen.
    """
    import torch

    ids = inputs["input_ids"]
    rows, length = ids.shape
    ranks = torch.arange(length + 1, device=ids.device).expand(rows, -1)
    if drawn:  # by torch's generator, which the loop seeds for each update
        ranks = torch.rand(rows, length + 1, device=ids.device).argsort(1)
    made = inputs | {"input_ids": torch.nn.functional.pad(ids, (0, 1)),
                     "perm_mask": (ranks[:, None, :] >= ranks[:, :, None]).float(),
                     "target_mapping": torch.eye(length + 1, device=ids.device)[1:].expand(rows, -1, -1)}
    made["attention_mask"] = torch.nn.functional.pad(inputs["attention_mask"], (0, 1))
    del made["token_type_ids"]  # a language model reads one text
    return made


def classify_tokens(module: Any, states: Tensor) -> Tensor:
    """Linear."""
    logits: Tensor = module.classifier(states)
    return logits


def itself(module: Any) -> Any:
    """The answer head's layers are the module's own."""
    return module


PASSAGE = """The town lies where the river leaves the hills. In spring the water is high, and the ferry does not run for a week
or two; people then walk to the old bridge, an hour upstream. There was a market on the square as early as the
fifteenth century, and on Saturdays there is one still. Farmers bring vegetables, cheese and honey, and a baker from
the next valley sells bread from a van. The school has about two hundred pupils. Its windows look over the orchards
towards the station, from which a train leaves every hour. The library, opened in 1908, was enlarged twice; the reading
room has kept its long tables and green lamps. Many visitors come for the path along the river, which is easy to walk
and well marked. It begins behind the church, passes two mills and a quarry that was closed long ago, and ends at a
small lake. In winter, when the lake is frozen, children skate there until the evening."""
PASSAGE = " ".join(PASSAGE.split())  # of our own: a plain text about nothing in particular

FAMILY = Family(
    "xlnet",
    {
        "sequence-classification": pooled("XLNetForSequenceClassification", classify),
        "token-classification": tokens("XLNetForTokenClassification", classify_tokens),
        "question-answering": tokens("XLNetForQuestionAnsweringSimple", span_head),
        "question-answering-beams": beam_answers("XLNetForQuestionAnswering", itself),
        "multiple-choice": pooled("XLNetForMultipleChoice", classify),
        "causal-language-model": dataclasses.replace(continued("XLNetLMHeadModel", words), prepare=two_streams),
    },
    kinds=("encoder", "decoder"),
    packs=False,  # attention of its own, by distances between places of the row
    numbered=False,
    longest=512,
    ragged=False,
    passage=f"{PASSAGE} <eod>",
    inputs={"use_mems": False},
    pooling=pooling,
    layers="layer",
    first_only="",
    dropouts=("dropout", "summary_last_dropout"),
    attention_dropouts=(),
    names={"width": "d_model", "layers": "n_layer"},
    lacks=NO_NEXT_SENTENCE | {"masked-language-model": "it was pretrained on words in a drawn order, without a mask"},
    checkpoints=(
        Checkpoint("xlnet/xlnet-base-cased", "117 M", "MIT", pickled=True),
        Checkpoint("xlnet/xlnet-large-cased", "360 M", "MIT", pickled=True),
    ),
    note="as a language model it is measured from left to right (two-stream attention) and trained so, or in drawn orders with "
         "task.order=drawn; headstart generate writes as the library does",
    aliases={name: f"xlnet/{name}" for name in ("xlnet-base-cased", "xlnet-large-cased")},
)
