"""The optimizer: which weights decay, which learn slower, which stay; its state as plain tensors."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from headstart.errors import Exit, UserError
from headstart.settings import Training

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from headstart.contract import Batch, HeadSpec

Depths = Sequence[tuple[str, Sequence[str]]]


class Trainable(Protocol):
    """What the loop needs of a model."""

    @property
    def module(self) -> nn.Module:
        """The weights."""

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """The head's outputs for each feature of a batch."""

    def read_states(self, batch: Batch) -> dict[str, Tensor]:
        """The states that each output of the head reads."""

    def own_losses(self, batch: Batch, spec: HeadSpec, choose: Any) -> Tensor:
        """The loss of each feature where it is not one of outputs alone."""

    def apply_head(self, states: Tensor) -> Tensor:
        """The head's own layers on such states."""

    @property
    def scorer(self) -> Any:
        """The part of the head with losses of its own, or None."""

    def head_parameters(self) -> list[Tensor]:
        """The weights that those layers use."""

    @property
    def base(self) -> str:
        """The checksum of weights that an adapter leaves as they are; "" without one."""

    def fixed_parameters(self) -> set[str]:
        """Names of such weights."""

    def parameter_groups_by_depth(self) -> list[tuple[str, list[str]]]:
        """Parameter names from the bottom up: embeddings, each layer, head."""


def frozen(freeze: str, depths: Depths) -> set[str]:
    """Names of the parameters that stay as they are; raises UserError (78) for a value that means nothing."""
    layers = len(depths) - 2
    if not freeze:
        return set()
    if freeze == "embeddings":
        count = 1
    elif freeze == "backbone":
        count = len(depths) - 1
    elif freeze == "encoder" and any(name.startswith("encoder") for name, _ in depths):
        return {held for name, names in depths for held in names
                if name.startswith("encoder") or re.match(r"(model\.|led\.)?encoder\.", held)}  # its own positions and norms too
    elif freeze.startswith("layers:") and freeze[7:].isdigit() and int(freeze[7:]) <= layers:
        count = 1 + int(freeze[7:])
    else:
        raise UserError(f"training.freeze takes embeddings, backbone, layers:N (N up to {layers} here) or, for models that "
                        f"write a text for a text, encoder, but it is {freeze!r}.",
                        fix="For example training.freeze=layers:2.", exit=Exit.SETTINGS)
    return {name for _, names in depths[:count] for name in names}


def parameter_groups(model: Trainable, settings: Training) -> list[dict[str, Any]]:
    """Groups by depth and decay, in a fixed order; `scale` is the group's share of the learning rate.

    Biases and norm weights (fewer than two dimensions) do not decay. With layer_decay d, the group k below the head
    learns at d^k of the rate (Clark et al. 2020, section 3.1).
    """
    depths = model.parameter_groups_by_depth()
    stay = frozen(settings.freeze, depths) | model.fixed_parameters()
    weights = dict(model.module.named_parameters())
    groups = []
    for place, (_, names) in enumerate(depths):
        scale = settings.layer_decay ** (len(depths) - 1 - place)
        for decays in (True, False):
            mine = [name for name in names if name not in stay and (weights[name].dim() >= 2) == decays]
            if mine:
                groups.append({"params": [weights[name] for name in mine], "names": mine, "scale": scale,
                               "weight_decay": settings.weight_decay if decays else 0.0})
    for name, held in weights.items():
        held.requires_grad_(name not in stay)
    return groups


def make(model: Trainable, settings: Training) -> torch.optim.Optimizer:
    """AdamW (fused: one pass over the weights) or Adafactor over the groups."""
    import torch

    rate = settings.learning_rate
    assert rate is not None
    groups = parameter_groups(model, settings)
    if settings.optimizer == "adafactor":
        return torch.optim.Adafactor(groups, lr=rate)
    return torch.optim.AdamW(groups, lr=rate, betas=(settings.beta1, settings.beta2), eps=settings.epsilon, fused=True)


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """This update's learning rate, each group by its scale."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["scale"]


def state_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimizer's memory as {"weight name/exp_avg": tensor}."""
    import torch

    found = {}
    for group in optimizer.param_groups:
        for name, held in zip(group["names"], group["params"], strict=True):
            for key, value in optimizer.state.get(held, {}).items():
                tensor = value if torch.is_tensor(value) else torch.tensor(value)
                found[f"{name}/{key}"] = tensor.detach().contiguous()
    return found


def load_state(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Put back what `state_tensors` gave."""
    for group in optimizer.param_groups:
        for name, held in zip(group["names"], group["params"], strict=True):
            mine = {key.rsplit("/", 1)[1]: value for key, value in tensors.items() if key.rsplit("/", 1)[0] == name}
            if mine:
                optimizer.state[held] = {key: value.to(held.device) if value.dim() else value.clone()
                                         for key, value in mine.items()}
