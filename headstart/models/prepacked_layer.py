"""Whole layers of BERT's form on a packed row in bf16, nothing to be learned: eight calls in place of some thirty.

Queries, keys and values are one product; the activation and the sums with the layer's input are part of the products
before them, where they cost no pass over memory and are rounded once. Weights are laid out as in prepacked.py. Shapes:
T tokens of the packed row, N segments, W width, H heads.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from headstart.models.family import submodule
from headstart.models.packing.attention import packed_attention
from headstart.models.packing.packed_row import Packing
from headstart.models.prepacked import PrepackedForward, can_prepack, is_packable, takes_packed_weight

if TYPE_CHECKING:
    from headstart.models.model import Model

# What oneDNN computes at the end of a product, by the class of the activation and its approximation.
ACTIVATIONS = {"GELUActivation": ("gelu", "none"), "NewGELUActivation": ("gelu", "tanh"), "Gelu": ("gelu", "tanh"),
               "GELUTanh": ("gelu", "tanh"), "ReLU": ("relu", "")}


@dataclass(frozen=True)
class LayerNames:
    """The modules of a family's layer."""

    attention: str
    projections: tuple[str, str, str]  # queries, keys, values
    sum_of_heads: str
    first_norm: str
    feed_forward: tuple[str, str]
    activation: str
    last_norm: str


NAMES = {
    "bert": LayerNames("attention.self", ("attention.self.query", "attention.self.key", "attention.self.value"),
                       "attention.output.dense", "attention.output.LayerNorm", ("intermediate.dense", "output.dense"),
                       "intermediate.intermediate_act_fn", "output.LayerNorm"),
    "distilbert": LayerNames("attention", ("attention.q_lin", "attention.k_lin", "attention.v_lin"),
                             "attention.out_lin", "sa_layer_norm", ("ffn.lin1", "ffn.lin2"), "ffn.activation",
                             "output_layer_norm"),
}


class PackedWeight:
    """One or several linear layers of the same input as one product, (…, K) -> (…, N)."""

    def __init__(self, *layers: nn.Linear) -> None:
        self.weight: Tensor = torch.ops.mkldnn._reorder_linear_weight(
            torch.cat([layer.weight.detach() for layer in layers]), None)
        self.bias = None if layers[0].bias is None else torch.cat([layer.bias.detach() for layer in layers])

    def product(self, states: Tensor, activation: str = "none", approximation: str = "") -> Tensor:
        """The product, and an activation of it."""
        output: Tensor = torch.ops.mkldnn._linear_pointwise(states, self.weight, self.bias, activation, [],
                                                            approximation)
        return output

    def product_and(self, states: Tensor, other: Tensor) -> Tensor:
        """The product and another tensor, added up."""
        output: Tensor = torch.ops.mkldnn._linear_pointwise.binary(states, other, self.weight, self.bias, "add")
        return output


class PrepackedLayer:
    """The forward pass of one layer; batches that are not packed, and those with a gradient, go by the layer's own."""

    def __init__(self, layer: Any, names: LayerNames, *, is_last: bool) -> None:
        attention = submodule(layer, names.attention)
        self.own_forward: Callable[..., Any] | None = vars(layer).get("forward")
        self.layer, self.is_last, self.scaling = layer, is_last, attention.scaling
        self.head_width, self.causal = attention.attention_head_size, bool(attention.is_causal)
        projections = [submodule(layer, name) for name in names.projections]
        # A last layer may have fewer queries than keys.
        self.projections = ([PackedWeight(projections[0]), PackedWeight(*projections[1:])] if is_last else
                            [PackedWeight(*projections)])
        self.sum_of_heads = PackedWeight(submodule(layer, names.sum_of_heads))
        self.widening, self.narrowing = (PackedWeight(submodule(layer, name)) for name in names.feed_forward)
        self.activation = ACTIVATIONS[type(submodule(layer, names.activation)).__name__]
        self.norms = submodule(layer, names.first_norm), submodule(layer, names.last_norm)

    def __call__(self, states: Tensor, *arguments: Any, **keywords: Any) -> Any:
        """(1, T, W) -> (1, T, W), or (1, N, W) in a last layer that reads first tokens alone."""
        packing: Packing | None = keywords.get("packing")
        if packing is None or not takes_packed_weight(states) or self.layer.training:
            own = self.own_forward or type(self.layer).forward.__get__(self.layer)
            return own(states, *arguments, **keywords)
        first_tokens_only = packing.first_tokens_only and self.is_last
        queried = states.index_select(1, packing.first_positions) if first_tokens_only else states
        first_norm, last_norm = self.norms
        context = packed_attention(*self.by_head(states, queried), packing, dropout=0.0, scaling=self.scaling,
                                   causal=self.causal, first_tokens_only=first_tokens_only)
        attended = norm(first_norm, self.sum_of_heads.product_and(context.reshape(queried.shape), queried))
        return norm(last_norm, self.narrowing.product_and(self.widening.product(attended, *self.activation), attended))

    def by_head(self, states: Tensor, queried: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values, (1, H, T, D) each."""
        if self.is_last:
            parts = [self.projections[0].product(queried), *self.projections[1].product(states).chunk(2, dim=-1)]
        else:
            parts = list(self.projections[0].product(states).chunk(3, dim=-1))
        query, key, value = (part.view(*part.shape[:-1], -1, self.head_width).transpose(1, 2) for part in parts)
        return query, key, value

    def __deepcopy__(self, memo: dict[int, Any]) -> PrepackedLayer:
        """What `unpack` needs to give the copied layer its own forward pass again: its weights are others."""
        copied = object.__new__(PrepackedLayer)
        copied.own_forward = copy.deepcopy(self.own_forward, memo)
        return copied


def norm(layer: Any, states: Tensor) -> Tensor:
    """A layer norm, without the call of a module."""
    return torch.layer_norm(states, layer.normalized_shape, layer.weight, layer.bias, layer.eps)


def prepack_layers(model: Model) -> set[nn.Module]:
    """Pack the layers of a model in bf16 on the processor, where they have BERT's form and torch can; gives the linear
    layers in them, which are not called by themselves any more.
    """
    family, packed = model.info.family, set[nn.Module]()
    names = NAMES.get(family.first_token_layer)
    if names is None or not can_prepack():
        return packed
    layers = submodule(model.module.base_model, family.layer_path)
    reads_first = not family.heads[model.head].causal
    for number, layer in enumerate(layers, start=1):
        linears = [submodule(layer, name) for name in (*names.projections, names.sum_of_heads, *names.feed_forward)]
        has_form = all(map(is_packable, linears)) and not hasattr(layer, "crossattention")
        if has_form and type(submodule(layer, names.activation)).__name__ in ACTIVATIONS:
            layer.forward = PrepackedLayer(layer, names, is_last=reads_first and number == len(layers))
            packed.update(linears)
    return packed


def unpack(module: nn.Module) -> None:
    """Let the layers of a module compute with the weights that they have now."""
    for layer in module.modules():
        forward = vars(layer).get("forward")
        if isinstance(forward, PrepackedForward) or (isinstance(forward, PrepackedLayer)
                                                     and forward.own_forward is None):
            del layer.forward
        elif isinstance(forward, PrepackedLayer):
            own_layer: Any = layer
            own_layer.forward = forward.own_forward
