"""A joint loss over micro-batches: gradients of the whole step in the memory of one of them.

The loss needs the vectors of a whole step at once, the backward pass through the encoder does not (Gao et al. 2021,
"Scaling deep contrastive learning batch size under memory limited setup"): vectors are computed without gradients batch
by batch, the loss gives a gradient for each of them, and each batch goes through the encoder again with its gradients.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from headstart.contract import Batch
from headstart.training.distributed import ALONE, World
from headstart.training.losses import JointLoss
from headstart.training.objectives.objective import Objective

if TYPE_CHECKING:
    from torch import Tensor

    from headstart.training.optimizer import Trainable


def batch_objectives(objective: Objective, model: Trainable, batches: Sequence[Batch],
                     seeded: Callable[[int], AbstractContextManager[Any]], world: World = ALONE) -> Sequence[Objective]:
    """What each batch of a step is trained on: the objective itself or, for a joint one, a surrogate; the gradients of
    all surrogates add up to those of the joint objective.

    `seeded(n)` sets the random state of batch n, so that both passes have the same dropout. Each process encodes its
    own batches; all have all vectors then, and the same gradients of them.
    """
    import torch

    if not isinstance(objective, JointLoss) or len(batches) == 1:
        return [objective] * len(batches)

    def own_vectors() -> dict[int, Tensor]:
        vectors = {}
        for index in world.numbers_of_own(len(batches)):
            with seeded(index), torch.no_grad():
                vectors[index] = objective.vectors(model, batches[index])
        return vectors

    batch_vectors = vectors_of_all(world.on_all(own_vectors), len(batches), world)
    all_vectors = torch.cat(batch_vectors).requires_grad_()
    loss = objective.loss(all_vectors, batches)
    gradients = torch.split(torch.autograd.grad(loss, all_vectors)[0], [len(vectors) for vectors in batch_vectors])
    return [surrogate_objective(objective, gradient, loss.detach() if index == 0 else loss.detach() * 0)
            for index, gradient in enumerate(gradients)]


def vectors_of_all(computed: Mapping[int, Tensor], count: int, world: World) -> list[Tensor]:
    """The vectors of every batch, in their order, from the processes that encoded them."""
    import torch

    if world.size == 1:
        return [computed[index] for index in range(count)]
    shapes: dict[int, torch.Size] = {}
    for part in world.gather({index: vectors.shape for index, vectors in computed.items()}):
        shapes |= part
    device = world.device
    vectors = [computed[index].contiguous() if index in computed else torch.empty(shapes[index], device=device)
               for index in range(count)]
    for index, batch_vectors in enumerate(vectors):
        world.copy_from(index % world.size, batch_vectors)
    return vectors


def surrogate_objective(joint_loss: JointLoss[Any], gradient: Tensor, loss: Tensor) -> Objective:
    """A loss with this value, and this gradient with respect to each vector."""
    def surrogate(model: Trainable, batch: Batch) -> Tensor:
        linear = (joint_loss.vectors(model, batch) * gradient).sum()
        return linear - linear.detach() + loss

    return surrogate
