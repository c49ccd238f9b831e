"""What a run will take: seconds, memory and disk, from real steps on its longest batch."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart.contract import Batch, Json
from headstart.errors import Exit, UserError
from headstart.generation.memory import memory_free
from headstart.training.losses.losses import Objective
from headstart.training.precision import autocast

if TYPE_CHECKING:
    from headstart.training.optimizer import Trainable

CELLS = 20  # numbers of four bytes that a layer keeps for the gradient, for each token and unit of its width (SmolLM 21, BERT 18)
FEWEST, MOST, MOST_GPU = 1024, 8192, 65536  # tokens: fewer are slower on two cores, more are not quicker
MEMORIES = 2  # of the size of the weights that move, in every checkpoint


@dataclass(frozen=True)
class Estimate:
    """Seconds of training, bytes of memory at the peak, bytes on the disk."""

    seconds: float
    memory: int
    memory_free: int
    disk: int
    disk_free: int

    def words(self) -> str:
        """One sentence."""
        return (f"about {in_words(self.seconds)} of training; memory {self.memory / 2**30:.1f} GiB of "
                f"{self.memory_free / 2**30:.1f}; disk {self.disk / 2**30:.1f} GiB of {self.disk_free / 2**30:.1f}")

    def json(self) -> dict[str, Json]:
        """For log.jsonl."""
        return dict(vars(self))


def in_words(seconds: float) -> str:
    """8 s, 3 min, 2.5 h."""
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def measure(model: Trainable, longest: Sequence[Batch], objective: Objective, *, updates: int, mean_tokens: float,
            precision: str, device: str, folder: Path, kept: int) -> Estimate:
    """Time gradients on the longest batch (no weight moves), and scale to the mean batch; raises UserError when the
    disk or memory cannot hold the run."""
    begun = time.perf_counter()
    peak_before = memory_in_use(device)
    seconds = timed(lambda: gradients(model, longest, objective, precision, device))
    peak = max(memory_in_use(device), peak_before)
    for weight in model.module.parameters():
        weight.grad = None
    size = sum(weight.numel() * 4 for weight in model.module.parameters())
    moved = sum(weight.numel() * 4 for weight in model.module.parameters() if weight.requires_grad)
    kept_weights = moved if model.fixed_parameters() else size  # of a checkpoint
    tokens = max(1, sum(batch.tokens for batch in longest))
    # The optimizer passes over all weights once an update, whatever the batch: about 28 bytes moved a weight.
    fixed = moved / 4 * 28 / 8e9
    made = Estimate(updates * (seconds * mean_tokens / tokens + fixed), peak + 2 * moved, memory_free(device) + peak,
                    (kept_weights + MEMORIES * moved) * (kept + 1) + size, shutil.disk_usage(folder).free)
    if made.disk > made.disk_free:
        raise UserError(f"The run needs about {made.disk / 2**30:.1f} GiB of disk, {made.disk_free / 2**30:.1f} GiB are free at {folder}.",
                        fix="Free some space, choose another place with --to, or a smaller model.", exit=Exit.DISK)
    if made.memory > made.memory_free:
        raise UserError(f"The run needs about {made.memory / 2**30:.1f} GiB of memory, {made.memory_free / 2**30:.1f} GiB are free.",
                        fix="Set training.micro_batch or data.longest smaller, training.gradient_checkpointing=true, or a smaller model.",
                        exit=Exit.UNAVAILABLE)
    assert time.perf_counter() >= begun
    return made


def tokens_at_once(module: Any, *, layers: int, width: int, device: str, parts_are_read_twice: bool = False) -> int:
    """How many tokens go through a model at once where nobody chose: on a processor so many that what their gradient needs
    takes no more memory than weights, gradients and AdamW's state. Adding up the gradients of parts costs a pass over the
    weights each, which is little beside their products with a thousand tokens; but not where parts are read twice (retrieval)."""
    if device.startswith("cuda"):
        return MOST_GPU
    if parts_are_read_twice:
        return MOST
    weights = sum(4 * weight.numel() * (4 if weight.requires_grad else 1) for weight in module.parameters())
    return int(min(MOST, max(FEWEST, weights / (4 * CELLS * max(1, layers) * max(1, width)))))


def timed(work: Callable[[], None]) -> float:
    """The quicker of two tries, in seconds: the first pays for things that are made once."""
    found = []
    for _ in range(2):
        begun = time.perf_counter()
        work()
        found.append(time.perf_counter() - begun)
    return min(found)


def gradients(model: Trainable, batches: Sequence[Batch], objective: Objective, precision: str, device: str) -> None:
    """One forward and backward pass; the generators are left as they were."""
    import torch

    model.module.train()
    with torch.random.fork_rng():
        for batch in batches:
            with autocast(precision, device):
                loss = objective(model, batch)
            torch.autograd.backward(loss)
    if device.startswith("cuda"):
        torch.cuda.synchronize()


def memory_in_use(device: str) -> int:
    """Bytes at the peak so far: of the GPU, or of this process."""
    import torch

    if device.startswith("cuda"):
        return int(torch.cuda.max_memory_allocated())
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
