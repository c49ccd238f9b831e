"""A model sharded over the processes of a run: each holds a part of every weight, gradient and moment (FSDP2).

For P trained weights in fp32 on W processes, AdamW:

| while | bytes in each process |
|---|---|
| between steps | 12 P / W: weights and two moments |
| a step | and 4 P / W of gradients; one layer whole, embeddings and head whole |
| process 0 evaluates | and all weights whole, once in each: 4 P |

Every process gathers and drops the same weights in the same order, so all compute as many micro-batches: where a step
has too few, one is computed again and counts nothing. Zhao et al. 2023, "PyTorch FSDP: experiences on scaling fully
sharded data parallel", section 3.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import CPUOffloadPolicy, FSDPModule, OffloadPolicy, fully_shard

from headstart.contract import Batch
from headstart.training.distributed import Message, World
from headstart.training.objectives.objective import Objective
from headstart.training.optimizer import Trainable


class Root(nn.Module):
    """Computes with a model, around which the weights that belong to no layer are gathered."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, compute: Callable[[], Tensor]) -> Tensor:
        """What `compute` gives."""
        return compute()


@dataclass(frozen=True)
class Sharding:
    """A model's root and layers, each sharded over the processes of a world."""

    root: nn.Module
    world: World

    @property
    def parts(self) -> list[FSDPModule]:
        """The root and each layer."""
        return [part for part in self.root.modules() if isinstance(part, FSDPModule)]

    def gather_weights(self) -> None:
        """Have all weights whole in this process, until `drop_weights`; every process calls it."""
        with self.world.reached():
            for part in self.parts:
                part.set_reshard_after_forward(False, recurse=False)
                part.unshard()

    def drop_weights(self) -> None:
        """Keep this process's parts alone."""
        for part in self.parts:
            part.reshard()
            part.set_reshard_after_forward(not isinstance(part, Root), recurse=False)

    @contextmanager
    def gathered(self) -> Iterator[None]:
        """As the leader, between two steps: have all weights whole, so as to compute without the others."""
        self.world.say(Message.GATHER)
        self.gather_weights()
        try:
            yield
        finally:
            self.drop_weights()
            self.world.say(Message.DROP)

    def step_gradients(self, model: Trainable, batches: Sequence[Batch], objectives: Sequence[Objective],
                       weight: float, seeded: Callable[[int], AbstractContextManager[Any]]) -> Tensor:
        """Leave this process's part of the step's gradient in its parts of the weights, and give the loss of each
        micro-batch, on every process. Raises LostProcess.
        """
        world, losses = self.world, torch.zeros(len(batches), dtype=torch.float64)
        with world.reached():
            for start in range(0, len(batches), world.size):
                index, counts = min(start + world.rank, len(batches) - 1), start + world.rank < len(batches)
                with seeded(index):
                    loss = self.root(partial(objectives[index], model, batches[index])) / weight
                if counts:
                    losses[index] = loss.detach()
                torch.autograd.backward(loss if counts else loss * 0)
        return world.add_numbers(losses)

    def clip_gradients(self, weights: Sequence[Tensor], max_norm: float) -> float:
        """The norm of the whole gradient, after it was clipped to `max_norm`; each process has its part of it."""
        gradients = [local_shard(weight.grad) for weight in weights if weight.grad is not None]
        squares = torch.stack(torch._foreach_norm(gradients)).double().square().sum().reshape(1)
        norm = math.sqrt(float(self.world.add_numbers(squares.cpu())))
        if math.isfinite(norm) and norm > max_norm:
            torch._foreach_mul_(gradients, max_norm / (norm + 1e-6))  # as torch.nn.utils.clip_grad_norm_
        return norm


def shard(module: nn.Module, layers: Sequence[nn.Module], world: World, *, offload: bool) -> Sharding:
    """Shard a model, which is the same in every process, over all of them; its weights are parts (DTensor) then.

    With `offload` the parts lie in the processor's memory, and come to the GPU when they are used.
    """
    # T5's blocks also return a view of their position bias, which nothing changes in place
    warnings.filterwarnings("ignore", r"FSDP2-wrapped module \(FSDP\w*T5Block\) returned a view tensor")
    mesh = DeviceMesh.from_group(world.gradients, world.device)
    root = Root(module)
    apply = partial(fully_shard, mesh=mesh, offload_policy=CPUOffloadPolicy() if offload else OffloadPolicy())
    for layer in layers:
        apply(layer, reshard_after_forward=True)
    apply(root, reshard_after_forward=False)
    sharding = Sharding(root, world)
    parts = sharding.parts
    for part, lower_part in zip(parts, [parts[-1], *parts[:-1]], strict=True):
        part.set_force_sum_reduction_for_comms(True)  # sums: losses are divided by the weight of the whole step
        part.set_gradient_divide_factor(1.0)
        # not by the order of forward passes, which differs once the leader has evaluated alone
        part.set_modules_to_backward_prefetch([lower_part])
    return sharding


def local_shard(tensor: Tensor) -> Tensor:
    """This process's part of a tensor."""
    return tensor.to_local() if hasattr(tensor, "to_local") else tensor
