"""Small parts of a loaded model: its last layer, masks, means.

Shapes: B rows, S tokens of a row, T tokens of all features, N features, W width.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from headstart.contract import Batch

if TYPE_CHECKING:
    from torch import Tensor


def last_linear(module: Any) -> Any:
    """The last linear layer: the head's own."""
    import torch

    return [held for held in module.modules() if isinstance(held, torch.nn.Linear)][-1]


@contextlib.contextmanager
def folded(module: Any, fold: tuple[float, float] | None) -> Iterator[None]:
    """Scale and shift the last linear layer for a while."""
    import torch

    if fold is None:
        yield
        return
    last = last_linear(module)
    kept = {name: held.detach().clone() for name, held in last.named_parameters()}
    with torch.no_grad():
        last.weight.mul_(fold[0])
        last.bias.mul_(fold[0]).add_(fold[1])
    try:
        yield
    finally:
        with torch.no_grad():
            for name, held in last.named_parameters():
                held.copy_(kept[name])


def mask(batch: Batch) -> Tensor:
    """1 for real tokens, 0 for padding: (B, S)."""
    import numpy as np
    import torch

    real = np.zeros(batch.ids.shape, dtype=np.int64)
    for row, begin, end in batch.segments.tolist():
        real[row, begin:end] = 1
    return torch.from_numpy(real)


def mean(states: Tensor, borders: Tensor) -> Tensor:
    """The mean state of each segment: (T, W), (N, 2) -> (N, W)."""
    import torch

    sizes = borders[:, 1] - borders[:, 0]
    owner = torch.repeat_interleave(torch.arange(len(sizes), device=states.device), sizes)
    places = torch.cat([torch.arange(int(begin), int(end), device=states.device) for begin, end in borders.tolist()])
    sums = torch.zeros(len(sizes), states.shape[1], dtype=states.dtype, device=states.device)
    return sums.index_add(0, owner, states.index_select(0, places)) / sizes[:, None].to(states.dtype)
