"""The leader's training as it stands, copied to the processes that follow: no shared folder is needed for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from headstart.training import optimizer as optimizers
from headstart.training.distributed import World
from headstart.training.state import TrainingState, trained_parameters


def describe_state(state: TrainingState) -> dict[str, Any]:
    """How far training is, and which tensors `send_state` sends."""
    tensors = optimizers.state_tensors(state.optimizer)
    return state.counts() | {
        "optimizer": {name: (tuple(tensor.shape), tensor.dtype) for name, tensor in tensors.items()}}


def send_state(state: TrainingState, world: World) -> None:
    """As the leader: weights, then the optimizer's state."""
    for weight in trained_parameters(state.model).values():
        world.copy_from_leader(weight)
    for tensor in optimizers.state_tensors(state.optimizer).values():
        world.copy_from_leader(tensor)


def receive_state(state: TrainingState, description: Mapping[str, Any], world: World) -> None:
    """As a follower: take up what the leader described and sends."""
    import torch

    with torch.no_grad():
        for weight in trained_parameters(state.model).values():
            weight.copy_(world.copy_from_leader(weight))
    optimizers.load_state(state.optimizer, {
        name: world.copy_from_leader(torch.empty(shape, dtype=dtype))
        for name, (shape, dtype) in description["optimizer"].items()})
    state.load_counts(description)
