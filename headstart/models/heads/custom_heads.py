"""Heads that transformers has no class for, on its own backbones; saved folders name these classes, headstart.load
finds them.

Plain transformers reads the backbone of such a folder (AutoModel), and the head after `import
headstart.models.register`.
"""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoModel
from transformers.modeling_layers import GenericForQuestionAnswering, GenericForTokenClassification
from transformers.modeling_outputs import MultipleChoiceModelOutput, SequenceClassifierOutput

from headstart.models.transfo_xl import heads as transfo_xl


class GenericForMultipleChoice:
    """One of several choices, each scored with its context by the last token: linear, without a bias."""

    base_model_prefix = "model"
    post_init: Any

    def __init__(self, config: Any) -> None:
        super().__init__(config)  # type: ignore[call-arg]  # a family's own class comes after this one
        auto: Any = AutoModel
        setattr(self, self.base_model_prefix, auto.from_config(config))
        self.score = nn.Linear(config.hidden_size, 1, bias=False)
        self.post_init()

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None, labels: Tensor | None = None,
                **kwargs: Any) -> MultipleChoiceModelOutput:
        """Scores of the choices, (B, choices, S) -> (B, choices); padding is on the right."""
        ids = input_ids.flatten(0, 1)
        mask = None if attention_mask is None else attention_mask.flatten(0, 1)
        backbone_output = getattr(self, self.base_model_prefix)(ids, attention_mask=mask, **kwargs)
        states = backbone_output.last_hidden_state
        last_positions = torch.full((len(ids),), ids.shape[1] - 1,
                                    device=ids.device) if mask is None else mask.sum(dim=1) - 1
        logits = self.score(states[torch.arange(len(ids), device=ids.device), last_positions]).view(input_ids.shape[:2])
        loss = None if labels is None else nn.functional.cross_entropy(logits, labels)
        return MultipleChoiceModelOutput(loss=loss, logits=logits, hidden_states=backbone_output.hidden_states,
                                         attentions=backbone_output.attentions)


class BackboneEmbeddings:
    """The embeddings of a head are those of its backbone, whatever the family calls it."""

    base_model_prefix: str

    def get_input_embeddings(self) -> nn.Module:
        """The backbone's."""
        embeddings: nn.Module = getattr(self, self.base_model_prefix).get_input_embeddings()
        return embeddings

    def set_input_embeddings(self, value: nn.Module) -> None:
        """The backbone's."""
        getattr(self, self.base_model_prefix).set_input_embeddings(value)


GENERIC_HEADS: dict[str, tuple[type, str]] = {
    "TokenClassification": (GenericForTokenClassification, "A label for each token: dropout, linear."),
    "QuestionAnswering": (GenericForQuestionAnswering, "Points at an answer in the text: linear."),
    "MultipleChoice": (GenericForMultipleChoice, "One of several choices, each scored by its last token: linear."),
}


@functools.cache
def generic_head_class(name: str) -> Any:
    """The library's generic head on a backbone that it has none for: CTRLForTokenClassification, and so on."""
    import transformers

    prefix, _, task = name.partition("For")
    generic_head, docstring = GENERIC_HEADS[task]
    family_base = getattr(transformers, f"{prefix}PreTrainedModel")
    # the backbone's name as in the family's own heads, so that weight names fit
    return type(name, (BackboneEmbeddings, generic_head, family_base),
                {"__doc__": docstring, "__module__": __name__, "base_model_prefix": family_base.base_model_prefix})


class GenericForEmbedding:
    """One vector of length 1 for each text: the mean of its tokens' states."""

    base_model_prefix: str
    backbone: Any
    post_init: Any

    def __init__(self, config: Any) -> None:
        super().__init__(config)  # type: ignore[call-arg]  # a family's own class comes after this one
        setattr(self, self.base_model_prefix, self.backbone(config))
        self.post_init()

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None,
                **kwargs: Any) -> SequenceClassifierOutput:
        """Vectors of texts, (B, S) -> (B, W)."""
        backbone_output = getattr(self, self.base_model_prefix)(input_ids, attention_mask=attention_mask, **kwargs)
        states = backbone_output.last_hidden_state
        is_token = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        sums = (states * is_token[..., None]).sum(dim=1) / is_token.sum(dim=1, keepdim=True)
        return SequenceClassifierOutput(logits=nn.functional.normalize(sums, dim=-1))


@functools.cache
def embedding_class(name: str) -> Any:
    """BertForEmbedding on BertModel, and so on."""
    import transformers

    backbone = getattr(transformers, f"{name.removesuffix('ForEmbedding')}Model")
    return type(name, (GenericForEmbedding, backbone.__bases__[0]),
                {"__doc__": GenericForEmbedding.__doc__, "__module__": __name__, "backbone": backbone})


def head_class(name: str) -> Any:
    """The class with this name: of transformers, else of headstart."""
    import transformers

    if name.endswith("ForEmbedding"):
        return embedding_class(name)
    return getattr(transformers, name, None) or getattr(transfo_xl, name, None) or generic_head_class(name)
