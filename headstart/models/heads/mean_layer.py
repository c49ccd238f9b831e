"""The mean of a text's token states as one more layer of the family's own kind, so that a head on the first token reads
it: the folder stays an ordinary one, and plain transformers computes the same.

Attention whose queries and keys are all 0 is uniform over a text's tokens, whatever they are. With values that are the
states themselves, the layer's first sum is, at every token,

    WEIGHT · mean of the states + the token's own state

and its norm (weight 1, bias 0) leaves of it the direction of the mean, up to a thousandth. The feed-forward part is 0,
and its norm changes nothing more. Sentence encoders compare directions alone, so nothing of a sentence vector is lost
but its mean coordinate. W width of a state.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn

from headstart.errors import UserError
from headstart.models.family import Family, submodule
from headstart.models.layer_names import LAYER_NAMES

WEIGHT = 1_000.0  # of the mean beside a token's own state: in bf16 and fp16 neither is lost


def can_have_mean_layer(family: Family) -> bool:
    """Whether a layer of this family can be a mean: its attention has no further term (a bias by distance)."""
    return family.first_token_layer in LAYER_NAMES


def append_mean_layer(module: Any, family: Family) -> None:
    """Put the mean after a model's last layer; raises UserError (2) for a family whose layers cannot be one."""
    if not can_have_mean_layer(family):
        raise UserError(f"A layer of {family.name} cannot be the mean of the token states.",
                        fix="Choose a model of BERT's, RoBERTa's or DistilBERT's form.")
    layers = submodule(module.base_model, family.layer_path)
    layer = copy.deepcopy(layers[-1])
    names = LAYER_NAMES[family.first_token_layer]
    *similarities, value = names.projections  # queries and keys are similar by nothing
    if not any(bool(submodule(layer, name).weight.any()) for name in similarities):
        return  # the last one is a mean already: its uniform attention has no gradient, and stays
    with torch.no_grad():
        for name in (*similarities, *names.feed_forward):
            set_linear(submodule(layer, name), 0.0)
        set_linear(submodule(layer, value), 1.0)
        set_linear(submodule(layer, names.sum_of_heads), WEIGHT)
        for name in names.norms:
            submodule(layer, name).weight.fill_(1.0)
            submodule(layer, name).bias.zero_()
    for part in layer.modules():
        if isinstance(part, nn.Dropout):
            part.p = 0.0  # a mean of some tokens is another text's
        if getattr(part, "layer_idx", None) is not None:
            part.layer_idx = len(layers)
    layers.append(layer)
    setattr(module.config, family.size_keys["layers"], len(layers))


def set_linear(layer: nn.Linear, scale: float) -> None:
    """Make a linear layer scale times the identity; 0 for a scale of 0, in any shape."""
    layer.weight.zero_()
    layer.bias.zero_()
    if scale:
        layer.weight.copy_(scale * torch.eye(len(layer.weight)))
