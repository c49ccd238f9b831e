"""Training steps, one after the other: a generator that its caller logs, evaluates, saves and stops.

Every step is a pure function of (seed, step number, weights, optimizer state): its examples, its dropout and its
learning rate follow from the number alone, so a resumed run replays nothing.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import partial, reduce
from operator import add
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart.contract import Batch
from headstart.errors import Exit, UserError, out_of_memory
from headstart.files import announce
from headstart.settings import Training
from headstart.training import optimizer as optimizers
from headstart.training.distributed import ALONE, World
from headstart.training.divergence import Diverged
from headstart.training.gradients import step_gradients
from headstart.training.objectives.gradient_cache import batch_objectives
from headstart.training.objectives.objective import Objective
from headstart.training.precision import autocast
from headstart.training.schedule import schedule

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from headstart.contract import Ints
    from headstart.training.optimizer import Trainable


class TooLittleMemory(UserError):
    """Memory is too small for training, however small its micro-batches."""


EpochPlan = Callable[[int], Sequence["Ints"]]  # epoch -> the examples of each step
MakeBatches = Callable[["Ints", int], list[Batch]]  # a step's examples, most examples of a micro-batch -> micro-batches


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


@dataclass
class TrainingState:
    """What training changes: weights, optimizer state, how far it is."""

    model: Trainable
    optimizer: torch.optim.Optimizer
    scaler: Any
    micro_batch_size: int
    step: int = 0
    tokens: int = 0
    skipped: int = 0

    @classmethod
    def initial(cls, model: Trainable, settings: Training, *, precision: str, device: str) -> TrainingState:
        """At step 0."""
        import torch

        scaler = torch.amp.GradScaler(device.split(":")[0]) if precision == "fp16" else None
        return cls(model, optimizers.build_optimizer(model, settings), scaler, settings.examples_per_pass)

    def save(self, folder: Path, progress: dict[str, Any]) -> None:
        """Weights, optimizer state and counts as safetensors and JSON; `progress` is the caller's own."""
        from safetensors.torch import save_file

        weights = {name: weight.detach().cpu().contiguous() for name, weight in trained_parameters(self.model).items()}
        announce("write", folder / "model.safetensors")
        save_file(weights, folder / "model.safetensors")
        optimizer_state = {name: tensor.cpu() for name, tensor in optimizers.state_tensors(self.optimizer).items()}
        announce("write", folder / "optimizer.safetensors")
        save_file(optimizer_state, folder / "optimizer.safetensors")
        content = self.counts() | {"base": self.model.base_checksum, "progress": progress}
        announce("write", folder / "state.json")
        (folder / "state.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")

    def load(self, folder: Path) -> dict[str, Any]:
        """Put back what `save` wrote; gives the caller's progress."""
        from safetensors.torch import load_file

        load_weights(self.model, folder)
        optimizers.load_state(self.optimizer, load_file(folder / "optimizer.safetensors"))
        content = json.loads((folder / "state.json").read_text(encoding="utf-8"))
        if content.get("base", "") != self.model.base_checksum:
            raise UserError("The base model of the adapter has changed since the run began.",
                            fix="Restore its files, or start again with finetune.", exit=Exit.UNAVAILABLE)
        self.load_counts(content)
        progress: dict[str, Any] = content["progress"]
        return progress

    def counts(self) -> dict[str, Any]:
        """How far training is, and its scale of losses: what is not in tensors."""
        return {"step": self.step, "tokens": self.tokens, "skipped": self.skipped, "micro": self.micro_batch_size,
                "scaler": self.scaler.state_dict() if self.scaler is not None else None}

    def load_counts(self, counts: Mapping[str, Any]) -> None:
        """Put back what `counts` gave."""
        self.step, self.tokens, self.skipped, self.micro_batch_size = (
            counts[name] for name in ("step", "tokens", "skipped", "micro"))
        if self.scaler is not None and counts["scaler"] is not None:
            self.scaler.load_state_dict(counts["scaler"])


def trained_parameters(model: Trainable) -> dict[str, Tensor]:
    """The weights that training may change, as a checkpoint holds them."""
    fixed_names = model.fixed_parameters()
    return {name: weight for name, weight in model.module.named_parameters() if name not in fixed_names}


def load_weights(model: Trainable, folder: Path) -> None:
    """The weights of a checkpoint: all of them, or an adapter's; raises UserError (69) where they are another model's.
    """
    import torch
    from safetensors.torch import load_file

    tensors, weights = load_file(folder / "model.safetensors"), trained_parameters(model)
    misfits = sorted(set(weights) ^ set(tensors)) or [name for name, weight in weights.items()
                                                      if weight.shape != tensors[name].shape]
    if misfits:
        raise UserError(f"The checkpoint {folder} does not fit the model: {len(misfits):,} weights differ "
                        f"({misfits[0]} …).", fix="Restore the model and the settings that the run began with.",
                        exit=Exit.UNAVAILABLE)
    with torch.no_grad():
        for name, weight in weights.items():
            weight.copy_(tensors[name])


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
    while state.step < total_steps and world.goes_on():
        while state.step - epoch_start >= (steps_per_epoch or len(steps)):
            epoch, epoch_start = epoch + 1, epoch_start + (steps_per_epoch or len(steps))
            steps = plan(epoch)
        examples = steps[state.step - epoch_start]
        notes: list[str] = []
        with world.together(Diverged, TooLittleMemory):
            step = repeated_step(state, partial(make_batches, examples), objective, total_weight, settings, notes,
                                 total_steps=total_steps, seed=seed, precision=precision, device=device, world=world)
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
                raise memory_error(error, state.micro_batch_size) from error
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
        losses = step_gradients(state.model, optimizers.trained_weights(state.optimizer), batches, objectives, weight,
                                seeded, state.scaler.scale if state.scaler is not None else lambda loss: loss, world,
                                in_order=settings.deterministic)
    finally:
        torch.set_rng_state(generator_state)
    if not math.isfinite(losses[-1]):
        raise not_finite("loss", losses[-1], state, settings)
    learning_rate = (settings.learning_rate or 0.0) * schedule(state.step, total_steps, settings)
    with no_repetition(world):
        norm, skipped = optimizer_step(state, settings, learning_rate)
    state.step += 1
    state.tokens += (tokens := sum(batch.tokens for batch in batches))
    state.skipped += skipped
    loss = reduce(add, losses, 0.0)  # one after the other: Python's sum rounds otherwise
    return Step(state.step, 0, loss, learning_rate, norm, tokens, sum(batch.ids.size for batch in batches), skipped,
                padding=padding(batches) if getattr(module.config, "is_encoder_decoder", False) else {})


@contextmanager
def no_repetition(world: World) -> Iterator[None]:
    """Where processes share a step, too little memory in the optimizer of one ends it: the others have moved on."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if world.size == 1 or not out_of_memory(error):
            raise
        raise TooLittleMemory(f"Memory is too small for the optimizer of process {world.rank} of {world.size}.",
                              fix="Use fewer processes, or choose a smaller model.", exit=Exit.UNAVAILABLE) from error


def padding(batches: Sequence[Batch]) -> dict[str, float]:
    """The share of padding in the sources and in the targets of an encoder-decoder."""
    source_positions = sum(batch.ids.size for batch in batches)
    target_positions = sum(int(batch.label_counts.sum()) if len(batch.ids) == 1 else
                           len(batch.label_counts) * int(batch.label_counts.max()) for batch in batches)
    return {"source": round(1 - sum(batch.tokens for batch in batches) / source_positions, 4),
            "target": round(1 - sum(int(batch.label_counts.sum()) for batch in batches) / target_positions, 4)}


def optimizer_step(state: TrainingState, settings: Training, learning_rate: float) -> tuple[float, bool]:
    """Clip the gradients and move the weights: the norm, and whether a scaled overflow skipped the step."""
    import torch

    optimizers.set_learning_rate(state.optimizer, learning_rate)
    if state.scaler is not None:
        state.scaler.unscale_(state.optimizer)
    weights = [weight for weight in optimizers.trained_weights(state.optimizer) if weight.grad is not None]
    max_norm = settings.max_grad_norm if settings.max_grad_norm else math.inf
    norm = float(torch.nn.utils.clip_grad_norm_(weights, max_norm, foreach=True))
    if not math.isfinite(norm):
        if state.scaler is None:
            raise not_finite("gradient", norm, state, settings)
        state.scaler.step(state.optimizer)  # sees the overflow and leaves the weights
        state.scaler.update()
        return 0.0, True
    if state.scaler is not None:
        state.scaler.step(state.optimizer)
        state.scaler.update()
    else:
        state.optimizer.step()
    return norm, False


def not_finite(quantity: str, value: float, state: TrainingState, settings: Training) -> Diverged:
    """The error for a loss or gradient that is NaN or infinite."""
    return Diverged(f"The {quantity} of step {state.step + 1} is {value}: training diverged, and was stopped before "
                    "the weights were updated.",
                    fix=f"Lower the learning rate (it is {settings.learning_rate:g}), or use training.precision=fp32; "
                         "the last checkpoint is good.", exit=Exit.DATA)


def memory_error(error: Exception, micro_batch_size: int) -> Exception:
    """What is raised when not even one example fits; other errors as they are."""
    if out_of_memory(error):
        return TooLittleMemory("Memory is too small for a single example.",
                               fix="Set a smaller data.max_length, choose a smaller model, or set "
                                   "training.gradient_checkpointing=true.", exit=Exit.UNAVAILABLE)
    return error
