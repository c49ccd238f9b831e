"""Attention masks, mean pooling, and a scale folded into the last layer.

Shapes: B rows, S tokens of a row, T tokens of all features, N features, W width.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from headstart.contract import Batch

if TYPE_CHECKING:
    from torch import Tensor


EXITS = "early_exits"  # the module of the heads after earlier layers, where a model has them


def last_linear(module: Any) -> Any:
    """The last linear layer of the head after the last layer; of all layers where a head has none of its own.

    XLM-RoBERTa makes its head before its backbone, so the last of all is not the head's.
    """
    import torch

    layers = {name: layer for name, layer in module.named_modules() if isinstance(layer, torch.nn.Linear)}
    backbone = f"{getattr(module, 'base_model_prefix', '')}."
    head_layers = [layer for name, layer in layers.items() if not name.startswith((backbone, f"{EXITS}."))]
    return [*layers.values(), *head_layers][-1]


def output_layers(module: Any) -> list[Any]:
    """The last linear layer of every head: of those after earlier layers, and of the head after the last."""
    return [*(last_linear(head) for head in getattr(module, EXITS, ())), last_linear(module)]


@contextlib.contextmanager
def folded(module: Any, scale_and_shift: tuple[float, float] | None) -> Iterator[None]:
    """Inside, the last linear layer of each head is scaled and shifted."""
    import torch

    if scale_and_shift is None:
        yield
        return
    layers = output_layers(module)
    original_weights = [(weight, weight.detach().clone()) for layer in layers for weight in layer.parameters()]
    with torch.no_grad():
        for layer in layers:
            layer.weight.mul_(scale_and_shift[0])
            layer.bias.mul_(scale_and_shift[0]).add_(scale_and_shift[1])
    try:
        yield
    finally:
        with torch.no_grad():
            for weight, original_weight in original_weights:
                weight.copy_(original_weight)


def attention_mask(batch: Batch) -> Tensor:
    """1 for tokens, 0 for padding: (B, S)."""
    import numpy as np
    import torch

    is_token = np.zeros(batch.ids.shape, dtype=np.int64)
    for row, start, end in batch.segments.tolist():
        is_token[row, start:end] = 1
    return torch.from_numpy(is_token)


def mean_states(states: Tensor, borders: Tensor) -> Tensor:
    """The mean state of each segment; they stand end to end in the row: (T, W), (N, 2) -> (N, W)."""
    import torch

    sizes = borders[:, 1] - borders[:, 0]
    segment_index = torch.repeat_interleave(torch.arange(len(sizes), device=states.device), sizes,
                                            output_size=len(states))
    addends = states.to(torch.promote_types(states.dtype, torch.float32))  # sums in bf16 would lose small states
    sums = addends.new_zeros(len(sizes), states.shape[1]).index_add(0, segment_index, addends)
    return (sums / sizes[:, None].to(sums.dtype)).to(states.dtype)
