"""The leader's training as it stands, copied to the processes that follow: no shared folder is needed for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from headstart.training import optimizer as optimizers
from headstart.training.distributed import World

if TYPE_CHECKING:
    from torch import Tensor

    from headstart.training.loop import TrainingState


def describe_state(state: TrainingState) -> dict[str, Any]:
    """How far training is, and which tensors `send_state` sends."""
    tensors = optimizers.state_tensors(state.optimizer)
    return {"step": state.step, "tokens": state.tokens, "skipped": state.skipped, "micro": state.micro_batch_size,
            "scaler": state.scaler.state_dict() if state.scaler is not None else None,
            "optimizer": {name: (tuple(tensor.shape), tensor.dtype) for name, tensor in tensors.items()}}


def trained_parameters(state: TrainingState) -> dict[str, Tensor]:
    """The weights that training may change, as a checkpoint holds them."""
    fixed_names = state.model.fixed_parameters()
    return {name: weight for name, weight in state.model.module.named_parameters() if name not in fixed_names}


def send_state(state: TrainingState, world: World) -> None:
    """As the leader: weights, then the optimizer's state."""
    for weight in trained_parameters(state).values():
        world.copy_from_leader(weight)
    for tensor in optimizers.state_tensors(state.optimizer).values():
        world.copy_from_leader(tensor)


def receive_state(state: TrainingState, description: Mapping[str, Any], world: World) -> None:
    """As a follower: take up what the leader described and sends."""
    import torch

    with torch.no_grad():
        for weight in trained_parameters(state).values():
            weight.copy_(world.copy_from_leader(weight))
    optimizers.load_state(state.optimizer, {
        name: world.copy_from_leader(torch.empty(shape, dtype=dtype))
        for name, (shape, dtype) in description["optimizer"].items()})
    state.step, state.tokens, state.skipped, state.micro_batch_size = (
        description[name] for name in ("step", "tokens", "skipped", "micro"))
    if state.scaler is not None and description["scaler"] is not None:
        state.scaler.load_state_dict(description["scaler"])
