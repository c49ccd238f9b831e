"""Heads that transformers has no class for, on its own backbones; a saved folder names them, headstart.load knows them.

Plain transformers reads the backbone of such a folder (AutoModel), and the head after `import headstart.models.register`.
"""

from __future__ import annotations

from typing import Any

from torch import nn
from transformers import CTRLPreTrainedModel, OpenAIGPTPreTrainedModel
from transformers.modeling_layers import GenericForQuestionAnswering, GenericForTokenClassification

from headstart.models.families.transfo_xl import heads as transfo_xl


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
OpenAIGPTForTokenClassification = made("OpenAIGPT", GenericForTokenClassification, OpenAIGPTPreTrainedModel, TOKENS)
OpenAIGPTForQuestionAnswering = made("OpenAIGPT", GenericForQuestionAnswering, OpenAIGPTPreTrainedModel, ANSWERS)
CTRLForTokenClassification = made("CTRL", GenericForTokenClassification, CTRLPreTrainedModel, TOKENS)
CTRLForQuestionAnswering = made("CTRL", GenericForQuestionAnswering, CTRLPreTrainedModel, ANSWERS)


def head_class(name: str) -> Any:
    """The class with this name: of transformers, else one of these."""
    import transformers

    return getattr(transformers, name, None) or getattr(transfo_xl, name, None) or globals()[name]
