"""Hidden states after every layer, without padding, recorded during an ordinary forward pass.

Shapes: B rows, S tokens of a row, T tokens of all features, N features, L tokens of the longest, W width.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from headstart.models.family import submodule

if TYPE_CHECKING:
    from headstart.contract import Batch
    from headstart.models.model import Model

LayerStates = Mapping[str, tuple[Tensor, ...]]  # by stack: the states after 0, 1, 2 … layers


def without_shortcuts(model: Model) -> Model:
    """The same model without shortcuts that skip hidden states: its last layer works on all tokens, not on first tokens
    alone,
    and the stacks of an encoder-decoder are called as modules, not layer by layer on packed rows."""
    family = dataclasses.replace(model.info.family, first_token_layer="", packed_forward="")
    return dataclasses.replace(model, info=dataclasses.replace(model.info, family=family))


@contextlib.contextmanager
def recorded_hidden_states(model: Model) -> Iterator[dict[str, tuple[Tensor, ...]]]:
    """Inside, every forward pass puts its hidden states here by stack ("", or "encoder" and "decoder"): (B, S, W) each.
    """
    states_by_stack: dict[str, tuple[Tensor, ...]] = {}
    backbone = model.module.base_model

    def request_states(_: Any, args: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        return args, kwargs | {"output_hidden_states": True}

    hooks = []
    for name in model.stack_paths:
        stack = submodule(backbone, name) if name else backbone

        def record_states(_: Any, args: Any, output: Any, name: str = name) -> None:
            states_by_stack[name] = output["hidden_states"]

        hooks += [stack.register_forward_pre_hook(request_states, with_kwargs=True),
                  stack.register_forward_hook(record_states)]
    try:
        yield states_by_stack
    finally:
        for hook in hooks:
            hook.remove()


def token_states(states: Tensor, batch: Batch, stack: str) -> Tensor:
    """States without padding, feature after feature: (B, S, W) -> (T, W); of a decoder, of target tokens."""
    rows, size = states.shape[:2]
    if stack == "decoder":
        is_target = np.arange(size)[None, :] < batch.label_counts[:, None]
        positions = np.flatnonzero(is_target)
    else:
        positions = np.concatenate([np.arange(start, end) + row * size for row, start, end in batch.segments.tolist()])
    flat = states.reshape(rows * size, -1)
    return flat if len(positions) == len(flat) else flat.index_select(0, torch.from_numpy(positions).to(states.device))


def token_counts(batch: Batch, stack: str) -> Any:
    """How many such tokens each feature has, (N,)."""
    return batch.label_counts if stack == "decoder" else batch.lengths
