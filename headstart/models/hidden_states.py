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
LayerCalls = dict[int, tuple[Tensor, Tensor]]  # by number, from 1: what a layer got and gave


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

    hooks: list[Any] = []
    for name in model.stack_paths:
        stack = submodule(backbone, name) if name else backbone
        calls: LayerCalls = {}
        skips_layers = bool(getattr(stack, "layerdrop", 0.0)) and stack.training
        if skips_layers:  # the library's list has no state for a layer that this batch skips
            hooks += layer_hooks(submodule(backbone, model.stack_paths[name]), calls)

        def record_states(_: Any, args: Any, output: Any, name: str = name, calls: LayerCalls = calls,
                          skips_layers: bool = skips_layers) -> None:
            states_by_stack[name] = states_with_skipped_layers(
                calls, model.layer_counts[name], output["last_hidden_state"]) if skips_layers \
                else output["hidden_states"]
            calls.clear()

        hooks += [stack.register_forward_pre_hook(request_states, with_kwargs=True),
                  stack.register_forward_hook(record_states)]
    try:
        yield states_by_stack
    finally:
        for hook in hooks:
            hook.remove()


def layer_hooks(layers: Any, calls: LayerCalls) -> list[Any]:
    """Hooks by which every layer that runs leaves what it gets and what it gives."""
    def record_call(layer: Any, args: Any, kwargs: dict[str, Any], output: Any) -> None:
        calls[numbers[layer]] = (args[0] if args else kwargs["hidden_states"],
                                 output[0] if isinstance(output, tuple) else output)

    numbers = {layer: number for number, layer in enumerate(layers, start=1)}
    return [layer.register_forward_hook(record_call, with_kwargs=True) for layer in layers]


def states_with_skipped_layers(calls: LayerCalls, layer_count: int, last_state: Tensor) -> tuple[Tensor, ...]:
    """The states after 0, 1, 2 … layers; a layer that was skipped leaves the state as it is. The last is the stack's
    own, after its norm.
    """
    states = [calls[min(calls)][0] if calls else last_state]
    for number in range(1, layer_count + 1):
        states.append(calls[number][1] if number in calls else states[-1])
    # LED's layers work on rows that are padded to its window.
    return (*(state[:, :last_state.shape[1]] for state in states[:-1]), last_state)


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
