"""The gradients of one step, from micro-batches in one process or in many: the same sum, and the same decisions.

Micro-batches are the unit: process r of W computes those numbered r, r + W …, each with the dropout of its number, and
each loss is divided by the weight of the whole step. Then gradients are added up.

| way | how | equal to one process |
|---|---|---|
| quick | each process adds its own, then all_reduce | to rounding; bit for bit with two micro-batches (a + b) |
| in order | after each W micro-batches, one after the other | bit for bit, for any W (a + b) + c … |

P parameters, W processes, n micro-batches of the step.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import TYPE_CHECKING, Any

from headstart.contract import Batch
from headstart.training.distributed import World
from headstart.training.objectives.objective import Objective

if TYPE_CHECKING:
    from torch import Tensor

    from headstart.training.optimizer import Trainable

BUCKET = 2**22  # numbers that are added up at once: 16 MB of fp32


def step_gradients(model: Trainable, weights: Sequence[Tensor], batches: Sequence[Batch],
                   objectives: Sequence[Objective], weight: float, seeded: Callable[[int], AbstractContextManager[Any]],
                   scale: Callable[[Tensor], Tensor], world: World, *, in_order: bool) -> Tensor:
    """Leave the step's gradient in the weights, and give the loss of each micro-batch, on every process; alone, a GPU
    may still be computing them.

    At a loss that is no number the gradients are of no use, and losses after it may be 0. Raises MemoryError or
    RuntimeError in all processes where memory was too little in one.
    """
    import torch

    def compute(indices: range) -> list[Tensor]:
        computed: list[Tensor] = []  # read at the end, so that a GPU need not wait between two passes
        for index in indices:
            with seeded(index):
                loss = objectives[index](model, batches[index]) / weight
            torch.autograd.backward(scale(loss))
            computed.append(loss.detach())
        return computed

    if world.size == 1:
        return torch.stack(compute(range(len(batches))))
    losses = [0.0] * len(batches)
    if in_order:
        return torch.tensor(add_in_order(compute, losses, weights, world), dtype=torch.float64)
    indices = world.numbers_of_own(len(batches))
    for index, loss in zip(indices, world.on_all(partial(read_all, compute, indices)), strict=True):
        losses[index] = loss
    losses, present = share_numbers(losses, weights, world)
    if all(map(math.isfinite, losses)):
        add_up(weights, present, world)
    return torch.tensor(losses, dtype=torch.float64)


def read_all(compute: Callable[[range], list[Tensor]], indices: range) -> list[float]:
    """The losses of these micro-batches, once they are computed."""
    import torch

    losses = compute(indices)
    return torch.stack(losses).tolist() if losses else []


def share_numbers(losses: Sequence[float], weights: Sequence[Tensor], world: World) -> tuple[list[float], Any]:
    """Every process's losses in one list, and which weights have a gradient where: (W, P)."""
    import torch

    numbers = torch.zeros(len(losses) + world.size * len(weights), dtype=torch.float64)
    numbers[:len(losses)] = torch.tensor(losses, dtype=torch.float64)
    start = len(losses) + world.rank * len(weights)
    numbers[start:start + len(weights)] = torch.tensor([float(weight.grad is not None) for weight in weights])
    world.add_numbers(numbers)
    return numbers[:len(losses)].tolist(), numbers[len(losses):].reshape(world.size, len(weights)) > 0


def add_up(weights: Sequence[Tensor], present: Any, world: World) -> None:
    """Each weight's gradient, summed over the processes; a process without one adds zeros."""
    import torch

    somewhere = present.any(0).tolist()
    bucket_list = buckets([weight for weight, is_there in zip(weights, somewhere, strict=True) if is_there])
    for number, bucket in enumerate(bucket_list):
        flat = world.buffer(number, sum(weight.numel() for weight in bucket), bucket[0])
        torch.cat([(torch.zeros_like(weight) if weight.grad is None else weight.grad).reshape(-1)
                   for weight in bucket], out=flat)
        world.add_up(flat)
        for weight, gradient in zip(bucket, torch.split(flat, [weight.numel() for weight in bucket]), strict=True):
            weight.grad = gradient.view_as(weight)  # until the next step drops it


def add_in_order(compute: Callable[[range], list[Tensor]], losses: list[float], weights: Sequence[Tensor],
                 world: World) -> list[float]:
    """The gradients of all micro-batches, added in the order of their numbers, as one process adds them."""
    sums: list[Tensor | None] = [None] * len(weights)
    for start in range(0, len(losses), world.size):
        for weight in weights:
            weight.grad = None
        ranks = range(min(world.size, len(losses) - start))
        indices = range(start + world.rank, start + world.rank + 1) if world.rank in ranks else range(0)
        for index, loss in zip(indices, world.on_all(partial(read_all, compute, indices)), strict=True):
            losses[index] = loss
        round_losses, present = share_numbers([losses[index] if index in indices else 0.0 for index in
                                               range(start, start + len(ranks))], weights, world)
        losses[start:start + len(ranks)] = round_losses
        if not all(map(math.isfinite, round_losses)):
            return losses
        for rank in ranks:
            add_process_gradients(weights, sums, present[rank].tolist(), rank, world)
    for weight, gradient in zip(weights, sums, strict=True):
        weight.grad = gradient
    return losses


def add_process_gradients(weights: Sequence[Tensor], sums: list[Tensor | None], present: Sequence[bool], rank: int,
                          world: World) -> None:
    """Add one process's gradients to the sums."""
    import torch

    places = [place for place, is_there in enumerate(present) if is_there]
    position = 0
    for bucket in buckets([weights[place] for place in places]):
        flat = (torch.cat([gradient_of(weight).reshape(-1) for weight in bucket]) if rank == world.rank else
                torch.empty(sum(weight.numel() for weight in bucket), dtype=bucket[0].dtype, device=bucket[0].device))
        world.copy_from(rank, flat)
        for weight, gradient in zip(bucket, torch.split(flat, [weight.numel() for weight in bucket]), strict=True):
            place, position = places[position], position + 1
            total = sums[place]
            if total is None:
                sums[place] = torch.empty_like(weight).copy_(gradient.view_as(weight)).detach()
            else:
                total.add_(gradient.view_as(weight))


def gradient_of(weight: Tensor) -> Tensor:
    """The gradient of a weight that has one."""
    assert weight.grad is not None, "only weights with a gradient are added"
    return weight.grad


def buckets(weights: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    """The weights in their order, in parts of one type, of some millions of numbers each."""
    bucket: list[Tensor] = []
    for weight in weights:
        is_full = bucket and (bucket[0].dtype != weight.dtype or sum(part.numel() for part in bucket) >= BUCKET)
        if is_full:
            yield bucket
            bucket = []
        bucket.append(weight)
    if bucket:
        yield bucket
