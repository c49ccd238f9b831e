"""Updates, one after the other: a generator that its caller logs, evaluates, saves and stops.

Every update is a pure function of (seed, update number, weights, optimizer memory): its examples, its dropout and its
learning rate follow from the number alone, so a resumed run replays nothing.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart.contract import Batch
from headstart.errors import Exit, UserError
from headstart.settings import Training
from headstart.training import optimizer as optimizers
from headstart.training.losses.contrastive import shared_out
from headstart.training.losses.losses import Objective
from headstart.training.precision import autocast
from headstart.training.schedule import schedule

if TYPE_CHECKING:
    import torch

    from headstart.contract import Ints
    from headstart.training.optimizer import Trainable

Plan = Callable[[int], Sequence["Ints"]]  # epoch -> the examples of each update
Make = Callable[["Ints", int], list[Batch]]  # an update's examples, most examples of a micro-batch -> micro-batches


@dataclass
class Step:
    """One update: what it saw and did."""

    update: int  # from 1
    epoch: int  # from 0
    loss: float
    learning_rate: float
    gradient_norm: float
    tokens: int
    slots: int  # tokens and padding
    skipped: bool = False  # a scaled overflow: the weights did not change
    notes: list[str] = field(default_factory=list)
    padding: dict[str, float] = field(default_factory=dict)  # shares of what is read and what is written, where both are there


@dataclass
class State:
    """What training changes: weights, optimizer memory, how far it is."""

    model: Trainable
    optimizer: torch.optim.Optimizer
    scaler: Any
    micro: int
    update: int = 0
    tokens: int = 0
    skipped: int = 0

    @classmethod
    def fresh(cls, model: Trainable, settings: Training, *, precision: str, device: str) -> State:
        """At update 0."""
        import torch

        scaler = torch.amp.GradScaler(device.split(":")[0]) if precision == "fp16" else None
        return cls(model, optimizers.make(model, settings), scaler, settings.micro_batch or settings.batch_size)

    def save(self, folder: Path, progress: dict[str, Any]) -> None:
        """Weights, optimizer memory and counts as safetensors and JSON; `progress` is the caller's own."""
        from safetensors.torch import save_file

        fixed = self.model.fixed_parameters()
        weights = {name: held.detach().cpu().contiguous() for name, held in self.model.module.named_parameters() if name not in fixed}
        save_file(weights, folder / "model.safetensors")
        memory = {name: held.cpu() for name, held in optimizers.state_tensors(self.optimizer).items()}
        save_file(memory, folder / "optimizer.safetensors")
        held = {"update": self.update, "tokens": self.tokens, "skipped": self.skipped, "micro": self.micro, "base": self.model.base,
                "scaler": self.scaler.state_dict() if self.scaler is not None else None, "progress": progress}
        (folder / "state.json").write_text(json.dumps(held, indent=2) + "\n", encoding="utf-8")

    def load(self, folder: Path) -> dict[str, Any]:
        """Put back what `save` wrote; gives the caller's progress."""
        from safetensors.torch import load_file

        load_weights(self.model, folder)
        optimizers.load_state(self.optimizer, load_file(folder / "optimizer.safetensors"))
        held = json.loads((folder / "state.json").read_text(encoding="utf-8"))
        if held.get("base", "") != self.model.base:
            raise UserError("The model that the adapter stands beside is not what it was when the run began.",
                            fix="Put its old files back, or begin anew with finetune.", exit=Exit.UNAVAILABLE)
        self.update, self.tokens, self.skipped, self.micro = (held[name] for name in ("update", "tokens", "skipped", "micro"))
        if self.scaler is not None and held["scaler"] is not None:
            self.scaler.load_state_dict(held["scaler"])
        progress: dict[str, Any] = held["progress"]
        return progress


def load_weights(model: Trainable, folder: Path) -> None:
    """The weights of a checkpoint: all of them, or an adapter's."""
    import torch
    from safetensors.torch import load_file

    held, fixed = load_file(folder / "model.safetensors"), model.fixed_parameters()
    with torch.no_grad():
        for name, weight in model.module.named_parameters():
            if name not in fixed:
                weight.copy_(held[name])


def train(state: State, plan: Plan, make: Make, objective: Objective, weigh: Callable[[Sequence[Batch]], float],
          settings: Training, *, total: int, seed: int, precision: str, device: str) -> Iterator[Step]:
    """Updates from the state's to `total`.

    `plan(epoch)` names the examples of each update, `make` lays them out in micro-batches, `weigh` gives the number
    that an update's loss sum is divided by. Too little memory halves the micro-batch and repeats the update. Raises
    UserError (65) for a loss or gradient that is no number, before any weight changes.
    """
    updates = plan(0)
    fixed = None if settings.batch_tokens else len(updates)  # by a budget of tokens each epoch has a number of updates of its own
    epoch = before = 0
    if fixed is not None and state.update >= fixed:
        epoch = state.update // fixed
        before, updates = epoch * fixed, plan(epoch)
    while state.update < total:
        while state.update - before >= (fixed or len(updates)):
            epoch, before = epoch + 1, before + (fixed or len(updates))
            updates = plan(epoch)
        examples = updates[state.update - before]
        notes: list[str] = []
        while True:
            try:
                step = one_update(state, make(examples, state.micro), objective, weigh, settings, total=total,
                                  seed=seed, precision=precision, device=device)
                break
            except RuntimeError as error:
                if not out_of_memory(error) or state.micro == 1:
                    raise memory_error(error, state.micro) from error
                state.micro = max(1, state.micro // 2)
                notes.append(f"memory was too small: {state.micro} examples go through the model at once from here on; "
                             f"updates stay {'as they are' if settings.batch_tokens else f'at {settings.batch_size}'}")
        step.epoch, step.notes = epoch, notes
        yield step


def one_update(state: State, batches: Sequence[Batch], objective: Objective, weigh: Callable[[Sequence[Batch]], float],
               settings: Training, *, total: int, seed: int, precision: str, device: str) -> Step:
    """Gradients of every micro-batch, divided by the update's whole weight; then one step of the optimizer."""
    import torch

    module = state.model.module
    module.train()
    state.optimizer.zero_grad(set_to_none=True)
    whole = weigh(batches)
    loss_sum = 0.0
    before = torch.get_rng_state()

    def begin(number: int) -> AbstractContextManager[Any]:
        torch.manual_seed((seed * 1_000_003 + state.update) * 1_009 + number)
        return autocast(precision, device)

    for number, (batch, goal) in enumerate(zip(batches, shared_out(objective, state.model, batches, begin), strict=True)):
        with begin(number):
            loss = goal(state.model, batch) / whole
        value = float(loss.detach())
        if not math.isfinite(value):
            torch.set_rng_state(before)
            raise no_number("loss", value, state, settings)
        loss_sum += value
        (state.scaler.scale(loss) if state.scaler is not None else loss).backward()
    torch.set_rng_state(before)
    rate = (settings.learning_rate or 0.0) * schedule(state.update, total, settings)
    norm, skipped = apply(state, settings, rate)
    state.update += 1
    state.tokens += (tokens := sum(batch.tokens for batch in batches))
    state.skipped += skipped
    return Step(state.update, 0, loss_sum, rate, norm, tokens, sum(batch.ids.size for batch in batches), skipped,
                padding=padding(batches) if getattr(module.config, "is_encoder_decoder", False) else {})


def padding(batches: Sequence[Batch]) -> dict[str, float]:
    """The shares of places that hold nothing, on the side that is read and on the side that is written."""
    read = sum(batch.ids.size for batch in batches)
    written = sum(int(batch.asked.sum()) if len(batch.ids) == 1 else len(batch.asked) * int(batch.asked.max()) for batch in batches)
    return {"source": round(1 - sum(batch.tokens for batch in batches) / read, 4),
            "target": round(1 - sum(int(batch.asked.sum()) for batch in batches) / written, 4)}


def apply(state: State, settings: Training, rate: float) -> tuple[float, bool]:
    """Clip the gradients and move the weights: the norm, and whether a scaled overflow skipped the update."""
    import torch

    optimizers.set_rate(state.optimizer, rate)
    if state.scaler is not None:
        state.scaler.unscale_(state.optimizer)
    weights = [held for group in state.optimizer.param_groups for held in group["params"] if held.grad is not None]
    longest = settings.clip if settings.clip else math.inf
    norm = float(torch.nn.utils.clip_grad_norm_(weights, longest, foreach=True))
    if not math.isfinite(norm):
        if state.scaler is None:
            raise no_number("gradient", norm, state, settings)
        state.scaler.step(state.optimizer)  # sees the overflow and leaves the weights
        state.scaler.update()
        return 0.0, True
    if state.scaler is not None:
        state.scaler.step(state.optimizer)
        state.scaler.update()
    else:
        state.optimizer.step()
    return norm, False


def no_number(what: str, value: float, state: State, settings: Training) -> UserError:
    """The error for a loss or gradient that is NaN or infinite."""
    return UserError(f"The {what} of update {state.update + 1} is {value}: training went wrong, and has stopped before the "
                     "weights took it.",
                     fix=f"Lower the learning rate (it is {settings.learning_rate:g}), or use training.precision=fp32; "
                         "the last checkpoint is good.", exit=Exit.DATA)


def out_of_memory(error: RuntimeError) -> bool:
    """Whether an error is about memory."""
    import torch

    text = str(error).lower()
    return isinstance(error, torch.OutOfMemoryError) or "not enough memory" in text or "can't allocate memory" in text


def memory_error(error: RuntimeError, micro: int) -> Exception:
    """What is raised when not even one example fits; other errors as they are."""
    if out_of_memory(error):
        return UserError("Memory is too small for a single example.", fix="Set a smaller data.longest, choose a smaller "
                         "model, or set training.gradient_checkpointing=true.", exit=Exit.UNAVAILABLE)
    return error
