"""What a run will take: seconds, memory and disk, from real steps on its longest batch."""

from __future__ import annotations

import math
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart.contract import Batch, Json
from headstart.errors import Exit, UserError
from headstart.models.loading.device import free_memory
from headstart.training.objectives.objective import Objective
from headstart.training.precision import autocast

if TYPE_CHECKING:
    from headstart.training.optimizer import Trainable

# floats that a layer keeps for the gradient, for each token and unit of its width (SmolLM 21, BERT 18)
ACTIVATIONS_PER_UNIT = 20
# tokens: fewer are slower on two cores, more are not quicker
MIN_TOKENS, MAX_TOKENS, MAX_TOKENS_GPU = 1024, 8192, 65536
OPTIMIZER_MOMENTS = 2  # each as large as the trained weights, in every checkpoint


@dataclass(frozen=True)
class Estimate:
    """Seconds of training, bytes of memory at the peak, bytes on the disk."""

    seconds: float
    memory: int
    memory_free: int
    disk: int
    disk_free: int

    def summary(self) -> str:
        """One sentence."""
        return (f"about {duration_text(self.seconds)} of training; memory {size_text(self.memory)} of "
                f"{size_text(self.memory_free)}; disk {size_text(self.disk)} of {size_text(self.disk_free)}")

    def json(self) -> dict[str, Json]:
        """For log.jsonl."""
        return dict(vars(self))


def duration_text(seconds: float) -> str:
    """8 s, 3 min, 2.5 h."""
    return (f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min" if seconds < 5400
            else f"{seconds / 3600:.1f} h")


def size_text(size: float) -> str:
    """512 MiB, 1.5 GiB: bytes as a person reads them."""
    return f"{size / 2**30:.1f} GiB" if size >= 2**30 else f"{math.ceil(size / 2**20)} MiB"


def measure(model: Trainable, longest_batches: Sequence[Batch], objective: Objective, *, steps: int, mean_tokens: float,
            precision: str, device: str, folder: Path, checkpoints: int, processes: int = 1) -> Estimate:
    """Time gradients on the longest batch (no weight moves), and scale to the mean batch; raises UserError when the
    disk or memory, which so many processes share, cannot hold the run."""
    start = time.perf_counter()
    peak_before = peak_memory_bytes(device)
    seconds = best_seconds(lambda: gradients(model, longest_batches, objective, precision, device))
    peak_memory = max(peak_memory_bytes(device), peak_before)
    for weight in model.module.parameters():
        weight.grad = None
    trainable_bytes = sum(weight.numel() * 4 for weight in model.module.parameters() if weight.requires_grad)
    tokens = max(1, sum(batch.tokens for batch in longest_batches))
    # The optimizer passes over all weights once a step, whatever the batch: about 28 bytes moved a weight.
    optimizer_seconds = trainable_bytes / 4 * 28 / 8e9
    estimate = Estimate(steps * (seconds * mean_tokens / tokens + optimizer_seconds),
                        processes * (peak_memory + 2 * trainable_bytes), free_memory(device) + processes * peak_memory,
                        disk_bytes(model, checkpoints), shutil.disk_usage(folder).free)
    refuse_full_disk(estimate.disk, folder)
    if estimate.memory > estimate.memory_free:
        raise UserError(f"The run needs about {size_text(estimate.memory)} of memory, "
                        f"{size_text(estimate.memory_free)} are free.",
                        fix="Set training.micro_batch_size or data.max_length smaller, "
                            "training.gradient_checkpointing=true, choose a smaller model, or shard it over several "
                            "GPUs or machines (training.sharded=true).",
                        exit=Exit.UNAVAILABLE)
    assert time.perf_counter() >= start
    return estimate


def disk_bytes(model: Trainable, checkpoints: int) -> int:
    """Bytes of so many checkpoints, of one more while it is written, and of the model folder, in fp32."""
    weights = list(model.module.parameters())
    all_bytes = sum(weight.numel() * 4 for weight in weights)
    trained_bytes = sum(weight.numel() * 4 for weight in weights if weight.requires_grad)
    checkpoint_bytes = (trained_bytes if model.fixed_parameters() else all_bytes) + OPTIMIZER_MOMENTS * trained_bytes
    return checkpoint_bytes * (checkpoints + 1) + all_bytes


def refuse_full_disk(needed: int, folder: Path) -> None:
    """Refuse a run for whose files a folder has too little space; raises UserError (74)."""
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise UserError(f"The run needs about {size_text(needed)} of disk, {size_text(free)} are free at {folder}.",
                        fix="Free some space, choose another folder with --to, or a smaller model.", exit=Exit.DISK)


def micro_batch_tokens(module: Any, *, layers: int, width: int, device: str, encodes_twice: bool = False) -> int:
    """How many tokens go through a model at once by default: on a processor so many that their activations take no more
    memory than weights, gradients and AdamW's state. Adding up the gradients of micro-batches costs a pass over the
    weights each, which
    is little beside their products with a thousand tokens; but not where each is encoded twice (retrieval)."""
    if device.startswith("cuda"):
        return MAX_TOKENS_GPU
    if encodes_twice:
        return MAX_TOKENS
    weight_bytes = sum(4 * weight.numel() * (4 if weight.requires_grad else 1) for weight in module.parameters())
    return int(min(MAX_TOKENS, max(MIN_TOKENS, weight_bytes
                                   / (4 * ACTIVATIONS_PER_UNIT * max(1, layers) * max(1, width)))))


def best_seconds(function: Callable[[], None]) -> float:
    """The quicker of two tries, in seconds: the first warms up caches."""
    seconds = []
    for _ in range(2):
        start = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


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


def peak_memory_bytes(device: str) -> int:
    """Bytes at the peak so far: of the GPU, or of this process."""
    import torch

    if device.startswith("cuda"):
        return int(torch.cuda.max_memory_allocated())
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
