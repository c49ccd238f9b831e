"""What training changes, and how it is written and read: weights, optimizer state, how far it is."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart.errors import Exit, UserError
from headstart.files import announce
from headstart.settings import Training
from headstart.training import optimizer as optimizers
from headstart.training.distributed import Message, World

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from headstart.training.optimizer import Trainable
    from headstart.training.sharding import Sharding

WEIGHTS, OPTIMIZER = "model.safetensors", "optimizer.safetensors"  # of a checkpoint in one piece


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
    sharding: Sharding | None = None  # how the model is sharded over several processes, where it is

    @classmethod
    def initial(cls, model: Trainable, settings: Training, *, precision: str, device: str) -> TrainingState:
        """At step 0."""
        import torch

        scaler = torch.amp.GradScaler(device.split(":")[0]) if precision == "fp16" else None
        return cls(model, optimizers.build_optimizer(model, settings), scaler, settings.examples_per_pass)

    def save(self, folder: Path, progress: dict[str, Any]) -> None:
        """Weights, optimizer state and counts as safetensors and JSON; `progress` is the caller's own.

        Of a sharded model each process writes its parts, which the leader tells them.
        """
        from safetensors.torch import save_file

        if self.sharding is not None:
            self.sharding.world.say(Message.SAVE, str(folder))
            self.save_shards(folder)
        else:
            announce("write", folder / WEIGHTS)
            save_file({name: tensor.cpu() for name, tensor in self.weight_tensors().items()},
                      folder / WEIGHTS)
            announce("write", folder / OPTIMIZER)
            save_file({name: tensor.cpu() for name, tensor in optimizers.state_tensors(self.optimizer).items()},
                      folder / OPTIMIZER)
        content = self.counts() | {"base": self.model.base_checksum, "progress": progress}
        announce("write", folder / "state.json")
        (folder / "state.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")

    def weight_tensors(self) -> dict[str, Tensor]:
        """The weights that training may change, as tensors."""
        return {name: weight.detach().contiguous() for name, weight in trained_parameters(self.model).items()}

    def save_shards(self, folder: Path) -> None:
        """Write this process's parts of weights and moments; raises OSError or MemoryError where any cannot write."""
        from headstart.training import sharded_checkpoint

        assert self.sharding is not None, "only a sharded model has parts"
        tensors = self.weight_tensors() | optimizers.state_tensors(self.optimizer)
        sharded_checkpoint.save_shards(folder, tensors, self.sharding.world)

    def gathered(self) -> AbstractContextManager[None]:
        """Inside, the leader has all weights whole, and can compute without the other processes."""
        return contextlib.nullcontext() if self.sharding is None else self.sharding.gathered()

    def follow(self, message: Message, content: Any) -> None:
        """As a follower, what the leader of a sharded model asks for between two steps."""
        assert self.sharding is not None, "the leader of whole models asks for nothing"
        if message == Message.GATHER:
            self.sharding.gather_weights()
        elif message == Message.DROP:
            self.sharding.drop_weights()
        else:
            with contextlib.suppress(OSError, MemoryError):  # which the leader has as well, and tells
                self.save_shards(Path(content))

    def load(self, folder: Path) -> dict[str, Any]:
        """Put back what `save` wrote; gives the caller's progress."""
        self.load_tensors(folder)
        return self.load_progress(folder)

    def load_tensors(self, folder: Path) -> None:
        """Put back weights and optimizer state; of a sharded model this process's parts, which every process calls."""
        from safetensors.torch import load_file

        world = None if self.sharding is None else self.sharding.world
        load_weights(self.model, folder, world)
        if is_whole(folder) and world is None:
            optimizers.load_state(self.optimizer, load_file(folder / OPTIMIZER))
            return
        from headstart.training.sharded_checkpoint import load_shards, tensor_sizes

        moments = optimizers.empty_state(self.optimizer, tensor_sizes(folder))
        load_shards(folder, moments, world)
        optimizers.load_state(self.optimizer, moments)

    def load_progress(self, folder: Path) -> dict[str, Any]:
        """Put back the counts that `save` wrote; gives the caller's progress."""
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


def is_whole(folder: Path) -> bool:
    """Whether a checkpoint is in one piece, and not in the parts of several processes."""
    return (folder / WEIGHTS).exists()


def load_weights(model: Trainable, folder: Path, world: World | None = None) -> None:
    """The weights of a checkpoint: all of them, or an adapter's; with a world, this process's parts of a sharded model.

    Raises UserError (69) where they are another model's.
    """
    import torch
    from safetensors.torch import load_file

    weights = trained_parameters(model)
    if not is_whole(folder) or world is not None:
        from headstart.training.sharded_checkpoint import load_shards, tensor_sizes

        check_fit(weights, {name: size for name, size in tensor_sizes(folder).items() if "/" not in name}, folder)
        load_shards(folder, {name: weight.detach() for name, weight in weights.items()}, world)
        return
    tensors = load_file(folder / WEIGHTS)
    check_fit(weights, {name: tensor.shape for name, tensor in tensors.items()}, folder)
    with torch.no_grad():
        for name, weight in weights.items():
            weight.copy_(tensors[name])


def check_fit(weights: Mapping[str, Tensor], sizes: Mapping[str, Any], folder: Path) -> None:
    """Refuse a checkpoint of another model; raises UserError (69)."""
    misfits = sorted(set(weights) ^ set(sizes)) or [name for name, weight in weights.items()
                                                    if weight.shape != sizes[name]]
    if misfits:
        raise UserError(f"The checkpoint {folder} does not fit the model: {len(misfits):,} weights differ "
                        f"({misfits[0]} …).", fix="Restore the model and the settings that the run began with.",
                        exit=Exit.UNAVAILABLE)
