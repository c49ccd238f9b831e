"""Training steps, one after the other: a generator that its caller logs, evaluates, saves and stops.

Every step is a pure function of (seed, step number, weights, optimizer state): its examples, its dropout and its
learning rate follow from the number alone, so a resumed run replays nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import partial, reduce
from operator import add
from typing import TYPE_CHECKING, Any

from headstart.contract import Batch
from headstart.errors import Exit, UserError, out_of_memory
from headstart.settings import Training
from headstart.training import optimizer as optimizers
from headstart.training.batches_ahead import BatchesAhead, MakeBatches
from headstart.training.distributed import ALONE, World
from headstart.training.divergence import Diverged
from headstart.training.gradients import step_gradients
from headstart.training.objectives.gradient_cache import batch_objectives
from headstart.training.objectives.objective import Objective
from headstart.training.precision import autocast
from headstart.training.schedule import schedule
from headstart.training.state import TrainingState

if TYPE_CHECKING:
    from torch import Tensor

    from headstart.contract import Ints


class TooLittleMemory(UserError):
    """Memory is too small for training, however small its micro-batches."""


EpochPlan = Callable[[int], Sequence["Ints"]]  # epoch -> the examples of each step


@dataclass
class Step:
    """One optimizer step: what it saw and did."""

    number: int  # from 1
    epoch: int  # from 0
    loss: float
    learning_rate: float
    gradient_norm: float
    tokens: int
    padded_tokens: int  # tokens and padding
    skipped: bool = False  # a scaled overflow: the weights did not change
    notes: list[str] = field(default_factory=list)
    padding: dict[str, float] = field(default_factory=dict)  # of source and target, for an encoder-decoder


def train(state: TrainingState, plan: EpochPlan, make_batches: MakeBatches, objective: Objective,
          total_weight: Callable[[Sequence[Batch]], float], settings: Training, *, total_steps: int, seed: int,
          precision: str, device: str, world: World = ALONE) -> Iterator[Step]:
    """Steps from the state's to `total_steps`; in a process that follows, as many of them as the leader makes.

    `plan(epoch)` names the examples of each step, `make_batches` lays them out in micro-batches, `total_weight` gives
    the number that a step's loss sum is divided by. Too little memory, in any process, halves the micro-batch in all
    and repeats the step. Raises Diverged (65) for a loss or gradient that is no number, before any weight changes, and
    LostProcess (69).
    """
    steps = plan(0)
    steps_per_epoch = None if settings.batch_tokens else len(steps)  # epochs by a budget of tokens differ
    epoch = epoch_start = 0
    if steps_per_epoch is not None and state.step >= steps_per_epoch:
        epoch = state.step // steps_per_epoch
        epoch_start, steps = epoch * steps_per_epoch, plan(epoch)
    listens = state.sharding is not None and not world.leads  # to the end: after the last step its parts are asked for
    with BatchesAhead(make_batches, device) as ahead:
        while (state.step < total_steps or listens) and world.goes_on(state.follow):
            while state.step - epoch_start >= (steps_per_epoch or len(steps)):
                epoch, epoch_start = epoch + 1, epoch_start + (steps_per_epoch or len(steps))
                steps = plan(epoch)
            notes: list[str] = []
            with world.together(Diverged, TooLittleMemory):
                step = repeated_step(state, partial(ahead.of_step, steps, state.step - epoch_start), objective,
                                     total_weight, settings, notes, total_steps=total_steps, seed=seed,
                                     precision=precision, device=device, world=world)
            step.epoch, step.notes = epoch, notes
            yield step


def repeated_step(state: TrainingState, make_batches: Callable[[int], list[Batch]], objective: Objective,
                  total_weight: Callable[[Sequence[Batch]], float], settings: Training, notes: list[str], *,
                  total_steps: int, seed: int, precision: str, device: str, world: World) -> Step:
    """A step, repeated with half the examples at once until memory suffices, which `notes` tell."""
    while True:
        try:
            batches = world.on_all(partial(make_batches, state.micro_batch_size))
            return train_step(state, batches, objective, total_weight, settings, total_steps=total_steps, seed=seed,
                              precision=precision, device=device, world=world)
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error) or state.micro_batch_size == 1:
                raise memory_error(error) from error
            state.micro_batch_size = max(1, state.micro_batch_size // 2)
            notes.append(f"memory was too small: {state.micro_batch_size} examples go through the model at once "
                         "from here on; steps stay "
                         f"{'as they are' if settings.batch_tokens else f'at {settings.examples_per_step}'}")


def train_step(state: TrainingState, batches: Sequence[Batch], objective: Objective,
               total_weight: Callable[[Sequence[Batch]], float],
               settings: Training, *, total_steps: int, seed: int, precision: str, device: str,
               world: World = ALONE) -> Step:
    """Gradients of every micro-batch, divided by the step's total weight; then one step of the optimizer, the same in
    every process.
    """
    import torch

    module = state.model.module
    module.train()
    state.optimizer.zero_grad(set_to_none=True)
    weight = total_weight(batches)
    generator_state = torch.get_rng_state()

    def seeded(index: int) -> AbstractContextManager[Any]:
        torch.manual_seed((seed * 1_000_003 + state.step) * 1_009 + index)
        return autocast(precision, device)

    try:
        objectives = batch_objectives(objective, state.model, batches, seeded, world)
        losses = gradients_of_step(state, batches, objectives, weight, seeded, settings, world)
    finally:
        torch.set_rng_state(generator_state)
    learning_rate = (settings.learning_rate or 0.0) * schedule(state.step, total_steps, settings)
    with no_repetition(world):
        norm, skipped = optimizer_step(state, settings, learning_rate, losses)
    state.step += 1
    state.tokens += (tokens := sum(batch.tokens for batch in batches))
    state.skipped += skipped
    loss = reduce(add, losses.tolist(), 0.0)  # one after the other: Python's sum rounds otherwise
    return Step(state.step, 0, loss, learning_rate, norm, tokens, sum(batch.ids.size for batch in batches), skipped,
                padding=padding(batches) if getattr(module.config, "is_encoder_decoder", False) else {})


def gradients_of_step(state: TrainingState, batches: Sequence[Batch], objectives: Sequence[Objective], weight: float,
                      seeded: Callable[[int], AbstractContextManager[Any]], settings: Training,
                      world: World) -> Tensor:
    """The step's gradient into the weights, whole or in this process's parts; the loss of each micro-batch."""
    if state.sharding is None:
        scale = state.scaler.scale if state.scaler is not None else lambda loss: loss
        return step_gradients(state.model, optimizers.trained_weights(state.optimizer), batches, objectives, weight,
                              seeded, scale, world, in_order=settings.deterministic)
    with no_repetition(world):
        return state.sharding.step_gradients(state.model, batches, objectives, weight, seeded)


@contextmanager
def no_repetition(world: World) -> Iterator[None]:
    """Where processes share a step, too little memory in one ends it, once the others have moved on."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if world.size == 1 or not out_of_memory(error):
            raise
        world.parted.set()
        raise TooLittleMemory(f"Memory is too small for a step of process {world.rank} of {world.size}.",
                              fix="Set a smaller training.micro_batch_size, or choose a smaller model.",
                              exit=Exit.UNAVAILABLE) from error


def padding(batches: Sequence[Batch]) -> dict[str, float]:
    """The share of padding in the sources and in the targets of an encoder-decoder."""
    source_positions = sum(batch.ids.size for batch in batches)
    target_positions = sum(int(batch.label_counts.sum()) if len(batch.ids) == 1 else
                           len(batch.label_counts) * int(batch.label_counts.max()) for batch in batches)
    return {"source": round(1 - sum(batch.tokens for batch in batches) / source_positions, 4),
            "target": round(1 - sum(int(batch.label_counts.sum()) for batch in batches) / target_positions, 4)}


def optimizer_step(state: TrainingState, settings: Training, learning_rate: float,
                   losses: Tensor) -> tuple[float, bool]:
    """Clip the gradients and move the weights: the norm, and whether a scaled overflow skipped the step.

    Raises Diverged, and leaves the weights, where a loss or the norm is no number.
    """
    import torch

    optimizers.set_learning_rate(state.optimizer, learning_rate)
    weights = [weight for weight in optimizers.trained_weights(state.optimizer) if weight.grad is not None]
    max_norm = settings.max_grad_norm if settings.max_grad_norm else math.inf
    if state.scaler is None and state.sharding is None and optimizers.is_fused(state.optimizer):
        norm = optimizers.clip(weights, max_norm)
        optimizers.step_if(state.optimizer, torch.isfinite(losses.sum().to(norm.device) + norm))
        check_losses(losses, state, settings)
        return finite_norm(float(norm), state, settings), False
    check_losses(losses, state, settings)
    if state.scaler is not None:
        state.scaler.unscale_(state.optimizer)
    value = (float(optimizers.clip(weights, max_norm)) if state.sharding is None else
             state.sharding.clip_gradients(weights, max_norm))
    if state.scaler is None:
        finite_norm(value, state, settings)
        state.optimizer.step()
        return value, False
    state.scaler.step(state.optimizer)  # sees an overflow and leaves the weights
    state.scaler.update()
    return (value, False) if math.isfinite(value) else (0.0, True)


def check_losses(losses: Tensor, state: TrainingState, settings: Training) -> None:
    """Raise Diverged for the first loss that is no number."""
    for loss in losses.tolist():
        if not math.isfinite(loss):
            raise not_finite("loss", loss, state, settings)


def finite_norm(norm: float, state: TrainingState, settings: Training) -> float:
    """The norm of the gradient; raises Diverged for one that is no number."""
    if not math.isfinite(norm):
        raise not_finite("gradient", norm, state, settings)
    return norm


def not_finite(quantity: str, value: float, state: TrainingState, settings: Training) -> Diverged:
    """The error for a loss or gradient that is NaN or infinite."""
    return Diverged(f"The {quantity} of step {state.step + 1} is {value}: training diverged, and was stopped before "
                    "the weights were updated.",
                    fix=f"Lower the learning rate (it is {settings.learning_rate:g}), or use training.precision=fp32; "
                         "the last checkpoint is good.", exit=Exit.DATA)


def memory_error(error: Exception) -> Exception:
    """What is raised when not even one example fits; other errors as they are."""
    if out_of_memory(error):
        return TooLittleMemory("Memory is too small for a single example.",
                               fix="Set a smaller data.max_length, choose a smaller model, or set "
                                   "training.gradient_checkpointing=true.", exit=Exit.UNAVAILABLE)
    return error
