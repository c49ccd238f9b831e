"""The optimizer: which weights decay, which learn slower, which are frozen; its state as plain tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from headstart.errors import Exit, UserError
from headstart.settings import Training

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from headstart.contract import Batch

CLIPPED_FROM = 0.999  # of the largest norm: torch's factor, max_norm / (norm + 1e-6) in fp32, may be below 1 from there
ParametersByDepth = Sequence[tuple[str, Sequence[str]]]


class Trainable(Protocol):
    """What the loop needs of a model."""

    @property
    def module(self) -> nn.Module:
        """The weights."""

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """The head's outputs for each feature of a batch."""

    def read_states(self, batch: Batch) -> dict[str, Tensor]:
        """The states that each output of the head reads."""

    def apply_head(self, states: Tensor) -> Tensor:
        """The head's own layers on such states."""

    @property
    def scorer(self) -> Any:
        """The part of the head with losses of its own, or None."""

    def head_parameters(self) -> list[Tensor]:
        """The weights that those layers use."""

    @property
    def base_checksum(self) -> str:
        """The checksum of weights that an adapter leaves as they are; "" without one."""

    def fixed_parameters(self) -> set[str]:
        """Names of such weights."""

    def parameter_groups_by_depth(self) -> list[tuple[str, list[str]]]:
        """Parameter names from the bottom up: embeddings, each layer, head."""

    def encoder_parameters(self) -> set[str]:
        """Names of the weights of an encoder that a decoder reads."""


def frozen_parameters(freeze: str, depths: ParametersByDepth, encoder_names: set[str]) -> set[str]:
    """Names of the parameters that training.freeze keeps as they are; raises UserError (78) for another value."""
    layers = len(depths) - 2
    if not freeze:
        return set()
    if freeze == "embeddings":
        count = 1
    elif freeze == "backbone":
        count = len(depths) - 1
    elif freeze == "encoder" and encoder_names:
        return encoder_names
    elif freeze.startswith("layers:") and freeze[7:].isdigit() and int(freeze[7:]) <= layers:
        count = 1 + int(freeze[7:])
    else:
        raise UserError(f"training.freeze takes embeddings, backbone, layers:N (N up to {layers} here) or, for "
                        f"encoder-decoders, encoder, but it is {freeze!r}.",
                        fix="For example training.freeze=layers:2.", exit=Exit.SETTINGS)
    return {name for _, names in depths[:count] for name in names}


def parameter_groups(model: Trainable, settings: Training) -> list[dict[str, Any]]:
    """Groups by depth and decay, in a fixed order; `scale` is the group's share of the learning rate.

    Biases and norm weights (fewer than two dimensions) do not decay. With layer_decay d, the group k below the head
    learns at d^k of the rate (Clark et al. 2020, section 3.1).
    """
    depths = model.parameter_groups_by_depth()
    frozen_names = frozen_parameters(settings.freeze, depths, model.encoder_parameters()) | model.fixed_parameters()
    weights = dict(model.module.named_parameters())
    groups = []
    for depth, (_, names) in enumerate(depths):
        scale = settings.layerwise_lr_decay ** (len(depths) - 1 - depth)
        for decays in (True, False):
            group_names = [name for name in names if name not in frozen_names and (weights[name].dim() >= 2) == decays]
            if group_names:
                groups.append({"params": [weights[name] for name in group_names], "names": group_names, "scale": scale,
                               "weight_decay": settings.weight_decay if decays else 0.0})
    for name, weight in weights.items():
        weight.requires_grad_(name not in frozen_names)
    return groups


def build_optimizer(model: Trainable, settings: Training) -> torch.optim.Optimizer:
    """AdamW (fused: one pass over the weights) or Adafactor over the groups."""
    import torch

    learning_rate = settings.learning_rate
    assert learning_rate is not None
    groups = parameter_groups(model, settings)
    if settings.optimizer == "adafactor":
        return torch.optim.Adafactor(groups, lr=learning_rate)
    return torch.optim.AdamW(groups, lr=learning_rate, betas=(settings.beta1, settings.beta2), eps=settings.epsilon,
                             fused=True)


def trained_weights(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    """Every weight that the optimizer moves, in a fixed order."""
    return [weight for group in optimizer.param_groups for weight in group["params"]]


def set_learning_rate(optimizer: torch.optim.Optimizer, learning_rate: float) -> None:
    """This step's learning rate, each group by its scale."""
    for group in optimizer.param_groups:
        group["lr"] = learning_rate * group["scale"]


def clip(weights: Sequence[Tensor], max_norm: float) -> Tensor:
    """The norm of the gradients, which are clipped to `max_norm`: as torch's clip_grad_norm_, to the last bit, but a
    processor does not multiply them by 1. A GPU, which would have to be waited for, does.
    """
    import torch

    norm = torch.nn.utils.get_total_norm([weight.grad for weight in weights if weight.grad is not None], foreach=True)
    if norm.device.type != "cpu" or float(norm) > CLIPPED_FROM * max_norm:
        torch.nn.utils.clip_grads_with_norm_(weights, max_norm, norm, foreach=True)
    return norm


def is_fused(optimizer: torch.optim.Optimizer) -> bool:
    """Whether a step is one pass over the weights, which can leave them by itself."""
    return all(group.get("fused") for group in optimizer.param_groups)


def step_if(optimizer: torch.optim.Optimizer, is_good: Tensor) -> None:
    """A step of a fused optimizer, which leaves weights and moments where `is_good` is False: nobody waits to know.

    It is told as torch's GradScaler tells it of an overflow.
    """
    fused_optimizer: Any = optimizer
    fused_optimizer.found_inf = is_good.logical_not().float()
    try:
        fused_optimizer.step()
    finally:
        del fused_optimizer.found_inf


def state_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimizer's state as {"weight name/exp_avg": tensor}."""
    import torch

    tensors = {}
    for group in optimizer.param_groups:
        for name, weight in zip(group["names"], group["params"], strict=True):
            for key, value in optimizer.state.get(weight, {}).items():
                tensor = value if torch.is_tensor(value) else torch.tensor(value)
                tensors[f"{name}/{key}"] = tensor.detach().contiguous()
    return tensors


def empty_state(optimizer: torch.optim.Optimizer, sizes: Mapping[str, Sequence[int]]) -> dict[str, Tensor]:
    """Tensors to read the state of `state_tensors` into, which had these sizes; in the parts of a sharded weight's."""
    import torch

    weights = {name: weight for group in optimizer.param_groups
               for name, weight in zip(group["names"], group["params"], strict=True)}
    tensors = {}
    for key, size in sizes.items():
        name, slash, _ = key.rpartition("/")
        if slash and name in weights:
            tensors[key] = torch.zeros_like(weights[name].detach()) if len(size) else torch.zeros(())
    return tensors


def load_state(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Put back what `state_tensors` gave."""
    for group in optimizer.param_groups:
        for name, weight in zip(group["names"], group["params"], strict=True):
            weight_state = {key.rsplit("/", 1)[1]: value for key, value in tensors.items()
                            if key.rsplit("/", 1)[0] == name}
            if weight_state:
                # A fused optimizer counts its steps where the weights are.
                optimizer.state[weight] = {key: value.to(weight.device) if value.dim() or group.get("fused")
                                           else value.clone() for key, value in weight_state.items()}
