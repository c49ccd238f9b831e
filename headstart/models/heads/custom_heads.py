"""Heads that transformers has no class for, on its own backbones; a saved folder names them, headstart.load knows them.

Plain transformers reads the backbone of such a folder (AutoModel), and the head after `import headstart.models.register`.
"""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoModel, CTRLPreTrainedModel, LlamaPreTrainedModel, OpenAIGPTPreTrainedModel
from transformers.modeling_layers import GenericForQuestionAnswering, GenericForTokenClassification
from transformers.modeling_outputs import MultipleChoiceModelOutput, SequenceClassifierOutput

from headstart.models.transfo_xl import heads as transfo_xl


class GenericForMultipleChoice:
    """One of several choices, each with its context a text that is judged by its last token: linear, without a bias."""

    base_model_prefix = "model"
    post_init: Any

    def __init__(self, config: Any) -> None:
        super().__init__(config)  # type: ignore[call-arg]  # a family's own class comes after this one
        auto: Any = AutoModel
        setattr(self, self.base_model_prefix, auto.from_config(config))
        self.score = nn.Linear(config.hidden_size, 1, bias=False)
        self.post_init()

    def get_input_embeddings(self) -> Any:
        """The backbone's."""
        return getattr(self, self.base_model_prefix).get_input_embeddings()

    def set_input_embeddings(self, value: Any) -> None:
        """The backbone's."""
        getattr(self, self.base_model_prefix).set_input_embeddings(value)

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None, labels: Tensor | None = None,
                **more: Any) -> MultipleChoiceModelOutput:
        """Scores of the choices, (B, choices, S) -> (B, choices); padding stands behind the tokens."""
        ids = input_ids.flatten(0, 1)
        mask = None if attention_mask is None else attention_mask.flatten(0, 1)
        found = getattr(self, self.base_model_prefix)(ids, attention_mask=mask, **more)
        states = found.last_hidden_state
        last = torch.full((len(ids),), ids.shape[1] - 1, device=ids.device) if mask is None else mask.sum(dim=1) - 1
        logits = self.score(states[torch.arange(len(ids), device=ids.device), last]).view(input_ids.shape[:2])
        loss = None if labels is None else nn.functional.cross_entropy(logits, labels)
        return MultipleChoiceModelOutput(loss=loss, logits=logits, hidden_states=found.hidden_states, attentions=found.attentions)


class OnTransformer:
    """The backbone is called `transformer`, as in the family's own heads, so that their weights are found."""

    base_model_prefix = "transformer"
    transformer: Any

    def get_input_embeddings(self) -> nn.Module:
        """The backbone's."""
        found: nn.Module = self.transformer.get_input_embeddings()
        return found

    def set_input_embeddings(self, value: nn.Module) -> None:
        """The backbone's."""
        self.transformer.set_input_embeddings(value)


def made(family: str, head: type, base: type, summary: str) -> Any:
    """A class of one family: the library's generic head on its backbone."""
    name = f"{family}{head.__name__.removeprefix('Generic')}"
    return type(name, (OnTransformer, head, base), {"__doc__": summary, "__module__": __name__})


TOKENS, ANSWERS = "A label for each token: dropout, linear.", "Points at an answer in the text: linear."
CHOICES = "One of several choices, each judged by its last token: linear."
OpenAIGPTForTokenClassification = made("OpenAIGPT", GenericForTokenClassification, OpenAIGPTPreTrainedModel, TOKENS)
OpenAIGPTForQuestionAnswering = made("OpenAIGPT", GenericForQuestionAnswering, OpenAIGPTPreTrainedModel, ANSWERS)
CTRLForTokenClassification = made("CTRL", GenericForTokenClassification, CTRLPreTrainedModel, TOKENS)
CTRLForQuestionAnswering = made("CTRL", GenericForQuestionAnswering, CTRLPreTrainedModel, ANSWERS)

CTRLForMultipleChoice = made("CTRL", GenericForMultipleChoice, CTRLPreTrainedModel, CHOICES)
LlamaForMultipleChoice = type("LlamaForMultipleChoice", (GenericForMultipleChoice, LlamaPreTrainedModel),
                              {"__doc__": CHOICES, "__module__": __name__})


class GenericForEmbedding:
    """One vector of length 1 for each text: the mean of its tokens' states."""

    base_model_prefix: str
    backbone: Any
    post_init: Any

    def __init__(self, config: Any) -> None:
        super().__init__(config)  # type: ignore[call-arg]  # a family's own class comes after this one
        setattr(self, self.base_model_prefix, self.backbone(config))
        self.post_init()

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None, **more: Any) -> SequenceClassifierOutput:
        """Vectors of texts, (B, S) -> (B, W)."""
        found = getattr(self, self.base_model_prefix)(input_ids, attention_mask=attention_mask, **more)
        states = found.last_hidden_state
        real = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        sums = (states * real[..., None]).sum(dim=1) / real.sum(dim=1, keepdim=True)
        return SequenceClassifierOutput(logits=nn.functional.normalize(sums, dim=-1))


@functools.cache
def embedding_class(name: str) -> Any:
    """The class BertForEmbedding on BertModel, and so on."""
    import transformers

    backbone = getattr(transformers, f"{name.removesuffix('ForEmbedding')}Model")
    return type(name, (GenericForEmbedding, backbone.__bases__[0]),
                {"__doc__": GenericForEmbedding.__doc__, "__module__": __name__, "backbone": backbone})


def head_class(name: str) -> Any:
    """The class with this name: of transformers, else one of these."""
    import transformers

    if name.endswith("ForEmbedding"):
        return embedding_class(name)
    return getattr(transformers, name, None) or getattr(transfo_xl, name, None) or globals()[name]
