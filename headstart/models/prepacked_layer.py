"""Whole layers of BERT's form on a packed row in bf16, nothing to be learned: eight calls in place of some thirty.

Queries, keys and values are one product; the activation and the sums with the layer's input are part of the products
before them, where they cost no pass over memory and are rounded once. Weights are laid out as in prepacked.py. Shapes:
T tokens of the packed row, N segments, W width, H heads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from headstart.models.family import Family, submodule
from headstart.models.layer_names import LAYER_NAMES, LayerNames
from headstart.models.packing.attention import packed_attention
from headstart.models.packing.packed_row import Packing
from headstart.models.prepacked import (
    PackedWeight,
    Replacement,
    can_prepack,
    is_packable,
    takes_packed_weight,
    with_even_rows,
)

if TYPE_CHECKING:
    from headstart.models.model import Model

# What oneDNN computes at the end of a product, by the class of the activation and its approximation.
ACTIVATIONS = {"GELUActivation": ("gelu", "none"), "NewGELUActivation": ("gelu", "tanh"), "Gelu": ("gelu", "tanh"),
               "GELUTanh": ("gelu", "tanh"), "ReLU": ("relu", "")}
EMBEDDED = ("input_ids", "position_ids", "token_type_ids")
KEYWORDS = {*EMBEDDED, "attention_mask", "packing", "use_cache"}


class PrepackedLayer(Replacement):
    """The forward pass of one layer; batches that are not packed, and those with a gradient, go by the layer's own."""

    def __init__(self, layer: Any, names: LayerNames, *, is_last: bool) -> None:
        super().__init__(layer)
        attention = submodule(layer, names.attention)
        self.is_last, self.scaling = is_last, attention.scaling
        self.head_width, self.causal = attention.attention_head_size, bool(attention.is_causal)
        projections = [submodule(layer, name) for name in names.projections]
        # A last layer may have fewer queries than keys.
        self.projections = ([PackedWeight(projections[0]), PackedWeight(*projections[1:])] if is_last else
                            [PackedWeight(*projections)])
        self.sum_of_heads = PackedWeight(submodule(layer, names.sum_of_heads))
        self.widening, self.narrowing = (PackedWeight(submodule(layer, name)) for name in names.feed_forward)
        self.activation = ACTIVATIONS[type(submodule(layer, names.activation)).__name__]
        self.norms = [submodule(layer, name) for name in names.norms]

    def __call__(self, states: Tensor, *arguments: Any, **keywords: Any) -> Any:
        """(1, T, W) -> (1, T, W), or (1, N, W) in a last layer that reads first tokens alone; rows that only make them
        even stay.
        """
        packing: Packing | None = keywords.get("packing")
        if packing is None or not takes_packed_weight(states) or self.module.training:
            return self.by_itself(states, *arguments, **keywords)
        first_tokens_only = packing.first_tokens_only and self.is_last
        queried = states.index_select(1, packing.first_positions) if first_tokens_only else states
        rows, even, even_queried = queried.shape[1], with_even_rows(states), with_even_rows(queried)
        tokens = packing.token_count
        parts = self.by_head(even, even_queried, tokens, rows if first_tokens_only else tokens)
        context = packed_attention(*parts, packing, dropout=0.0, scaling=self.scaling, causal=self.causal,
                                   first_tokens_only=first_tokens_only)
        output = self.after_attention(with_even_rows(context.reshape(1, -1, states.shape[2])), even_queried)
        return output if output.shape[1] == rows else output[:, :rows]

    def after_attention(self, context: Tensor, queried: Tensor) -> Tensor:
        """The sum of heads and the feed-forward part: (1, T, W), (1, T, W) -> (1, T, W)."""
        first_norm, last_norm = self.norms
        attended = norm(first_norm, self.sum_of_heads.product_and(context, queried))
        return norm(last_norm, self.narrowing.product_and(self.widening.product(attended, *self.activation), attended))

    def by_head(self, states: Tensor, queried: Tensor, tokens: int,
                queries: int) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, (1, H, Q, D), keys and values, (1, H, T, D) each, without the rows that only make them even."""
        if self.is_last:
            query = self.projections[0].product(queried)
            key, value = self.projections[1].product(states).chunk(2, dim=-1)
        else:
            query, key, value = self.projections[0].product(states).chunk(3, dim=-1)
        return self.heads_of(query, queries), self.heads_of(key, tokens), self.heads_of(value, tokens)

    def heads_of(self, states: Tensor, rows: int) -> Tensor:
        """The first rows of the states by head, (1, T, W) -> (1, H, T, D)."""
        by_head = states.view(1, states.shape[1], -1, self.head_width)
        return (by_head if states.shape[1] == rows else by_head[:, :rows]).transpose(1, 2)


class PrepackedBackbone(Replacement):
    """The forward pass of a backbone whose layers are all packed: embeddings, then layer by layer, and no pooler."""

    def __init__(self, backbone: Any, family: Family) -> None:
        super().__init__(backbone)
        self.family, self.layers = family, submodule(backbone, family.layer_path)

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        """({"input_ids": (1, T), …}) -> states (1, T, W) or (1, N, W), alone in a tuple."""
        packing = keywords.get("packing")
        if arguments or packing is None or not KEYWORDS.issuperset(keywords) or torch.is_grad_enabled():
            return self.by_itself(*arguments, **keywords)
        inputs = {name: keywords[name] for name in EMBEDDED if name in keywords}
        states = with_even_rows(self.family.embed(self.module, inputs))
        for layer in self.layers:
            states = layer(states, None, packing=packing)
        rows = len(packing.segments) if packing.first_tokens_only else packing.token_count
        return (states[:, :rows],)


def norm(layer: Any, states: Tensor) -> Tensor:
    """A layer norm, without the call of a module."""
    return torch.layer_norm(states, layer.normalized_shape, layer.weight, layer.bias, layer.eps)


def prepack_layers(model: Model) -> set[nn.Module]:
    """Pack the layers of a model in bf16 on the processor, where they have BERT's form and torch can; gives the linear
    layers in them, which are not called by themselves any more.
    """
    family, packed = model.info.family, set[nn.Module]()
    names = LAYER_NAMES.get(family.first_token_layer)
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
    if all(isinstance(layer.forward, PrepackedLayer) for layer in layers):
        model.module.base_model.forward = PrepackedBackbone(model.module.base_model, family)
    return packed
