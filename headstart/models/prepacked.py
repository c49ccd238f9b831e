"""Linear layers whose bf16 weights are laid out once as the processor multiplies them.

Else the layout is made anew at each product, which is most of the time of a few tokens: 384 -> 1,536 takes 190 us in
place of 320 for 15 tokens, 67 in place of 165 for one (1 core with avx512_bf16). The layer keeps its weights as they
were, so they take their space twice. Products of most shapes are the same bits as without.

Each number of rows has a kernel of its own, which takes 550 us to make and 80 to run: few rows are rounded up to a
multiple of eight, so that texts of any length meet kernels that are there.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection
from typing import Any, TypeGuard

import torch
from torch import Tensor, nn

ROW_STEP, MAX_EVEN_ROWS = 8, 512  # beyond, a kernel costs little beside its product


class PackedWeight:
    """One or several linear layers of the same input as one product, (…, K) -> (…, N)."""

    def __init__(self, *layers: nn.Linear) -> None:
        weights = [layer.weight.detach() for layer in layers]
        self.weight: Tensor = torch.ops.mkldnn._reorder_linear_weight(
            weights[0] if len(weights) == 1 else torch.cat(weights), None)
        self.bias = None if layers[0].bias is None else torch.cat([layer.bias.detach() for layer in layers])

    def product(self, states: Tensor, activation: str = "none", approximation: str = "") -> Tensor:
        """The product, and an activation of it."""
        output: Tensor = torch.ops.mkldnn._linear_pointwise.default(states, self.weight, self.bias, activation, [],
                                                                    approximation)
        return output

    def product_and(self, states: Tensor, addend: Tensor) -> Tensor:
        """The product and another tensor, added up: of few rows in one call, which is slower than two for many."""
        if states.shape[-2] > MAX_EVEN_ROWS:
            return self.product(states).add_(addend)
        output: Tensor = torch.ops.mkldnn._linear_pointwise.binary(states, addend, self.weight, self.bias, "add")
        return output


class Replacement:
    """A module's forward pass instead of its own, which still takes what this one does not."""

    def __init__(self, module: Any) -> None:
        self.module = module
        self.own_forward: Callable[..., Any] | None = vars(module).get("forward")

    def by_itself(self, *arguments: Any, **keywords: Any) -> Any:
        """What the module gives by its own forward pass."""
        forward = self.own_forward or type(self.module).forward.__get__(self.module)
        return forward(*arguments, **keywords)

    __call__ = by_itself

    def __deepcopy__(self, memo: dict[int, Any]) -> Replacement:
        """The own forward pass of the copied module, whose weights may become others."""
        copied = object.__new__(Replacement)
        copied.module, copied.own_forward = copy.deepcopy((self.module, self.own_forward), memo)
        return copied


class PrepackedForward(Replacement):
    """The forward pass of one linear layer, (…, K) -> (…, N)."""

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__(layer)
        self.packed = PackedWeight(layer)

    def __call__(self, states: Tensor) -> Tensor:
        """The product, by the packed weight where nothing is to be learned."""
        if not takes_packed_weight(states):
            output: Tensor = self.by_itself(states)
            return output
        product = self.packed.product(with_even_rows(states))
        return product[..., :states.shape[-2], :] if states.dim() > 1 else product


def takes_packed_weight(states: Tensor) -> bool:
    """Whether these states can be multiplied by a packed weight: in bf16, and nothing is to be learned."""
    return states.dtype == torch.bfloat16 and bool(states.numel()) and not (torch.is_grad_enabled()
                                                                            and states.requires_grad)


def with_even_rows(states: Tensor) -> Tensor:
    """The states of few rows with zeros below them, up to a multiple of ROW_STEP: (1, T, W) -> (1, T', W)."""
    missing = -states.shape[-2] % ROW_STEP if states.dim() == 3 and len(states) == 1 else 0
    if not missing or not 1 < states.shape[-2] <= MAX_EVEN_ROWS:
        return states
    return nn.functional.pad(states, (0, 0, 0, missing))


def can_prepack() -> bool:
    """Whether torch can lay out weights."""
    return hasattr(torch.ops.mkldnn, "_reorder_linear_weight")


def is_packable(layer: Any) -> TypeGuard[nn.Linear]:
    """Whether a layer is a plain linear one with bf16 weights on the processor."""
    return type(layer) is nn.Linear and layer.weight.dtype == torch.bfloat16 and layer.weight.device.type == "cpu"


def prepack(module: nn.Module, *, but: Collection[nn.Module] = ()) -> None:
    """Pack the bf16 weights of a module's linear layers, but for some, where torch can."""
    if not can_prepack():
        return
    for layer in module.modules():
        if is_packable(layer) and layer not in but:
            packed_layer: Any = layer
            packed_layer.forward = PrepackedForward(layer)  # of this layer alone


def unpack(module: nn.Module) -> None:
    """Let the layers of a module compute with the weights that they have now."""
    for layer in module.modules():
        forward = vars(layer).get("forward")
        if isinstance(forward, Replacement):
            own_layer: Any = layer
            if forward.own_forward is None:
                del own_layer.forward
            else:
                own_layer.forward = forward.own_forward
