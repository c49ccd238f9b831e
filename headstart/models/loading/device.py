"""The device that a model runs on, and the memory that is free on it."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart.errors import Exit, UserError

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray
    from torch import Tensor

BF16_FLAGS = ("amx_bf16", "avx512_bf16")  # instruction sets that multiply bf16


def choose_device(name: str) -> str:
    """The device as torch names it; "auto" takes an NVIDIA GPU where there is one, else Apple's (mps), else the
    processor. Raises UserError (69) for one that is not there.
    """
    import torch

    if name != "auto":
        if name.startswith("mps") and not torch.backends.mps.is_available():
            raise UserError(f"--device {name} needs Apple's GPU, and torch sees none.",
                            fix="Use --device cpu; headstart doctor says what this machine has.", exit=Exit.UNAVAILABLE)
        if name.startswith("cuda") and not torch.cuda.is_available():
            raise UserError(f"--device {name} needs an NVIDIA GPU, and torch sees none.",
                            fix="Use --device cpu; headstart doctor says what this machine has.", exit=Exit.UNAVAILABLE)
        check_device(name)
        return name
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def check_device(name: str) -> None:
    """Refuse a name that is no device's (2), and a GPU beyond those that are there (69); raises UserError."""
    import torch

    try:
        device = torch.device(name)
    except RuntimeError:
        raise UserError(f"--device takes auto, cpu, cuda, cuda:1 or mps, but it is {name!r}.",
                        fix="headstart doctor says what this machine has.") from None
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UserError(f"--device {name} is not there: this machine has {torch.cuda.device_count()} GPUs.",
                        fix="They count from 0: cuda:0 is the first.", exit=Exit.UNAVAILABLE)
    if device.type == "meta":
        raise UserError("--device meta holds no weights.", fix="headstart doctor says what this machine has.")


@cache
def processor_flags() -> frozenset[str]:
    """The processor's instruction sets, as Linux names them; empty elsewhere."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("flags"):
                return frozenset(line.split())
    except OSError:
        pass
    return frozenset()


def multiplies_bf16(device: str) -> tuple[bool, str]:
    """Whether a device multiplies bf16 by itself, and that in words; one that only emulates it is slower than in fp32.
    """
    import torch

    if device.startswith("cuda"):
        return ((True, "the GPU multiplies it natively") if torch.cuda.is_bf16_supported(including_emulation=False)
                else (False, "the GPU has no bf16"))
    if device.startswith("mps"):
        return False, "which of the others Apple's GPU is quicker in was not measured"
    flag = next((flag for flag in BF16_FLAGS if flag in processor_flags()), None)
    return (True, f"the processor has {flag}") if flag is not None else (False, "the processor has no fast bf16")


def copy_to(values: NDArray[Any] | Tensor, device: torch.device) -> Tensor:
    """Numbers of an array as a tensor on a device; on the processor in the array's own memory.

    To an NVIDIA GPU they go through pinned memory, so that nobody waits for what it computes.
    """
    import torch

    tensor = values if isinstance(values, torch.Tensor) else torch.from_numpy(values)
    if device.type != "cuda" or tensor.device.type != "cpu":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


def free_memory(device: str) -> int:
    """Bytes that are free now."""
    import torch

    if device.startswith("cuda"):
        return int(torch.cuda.mem_get_info()[0])
    try:
        for line in Path("/proc/meminfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return memory_size("SC_AVPHYS_PAGES") or memory_size("SC_PHYS_PAGES")  # macOS says only how much there is in all


def memory_size(pages: str) -> int:
    """Bytes of memory by the system's count of pages; 0 where the system has none of this name."""
    if not hasattr(os, "sysconf"):
        return 0
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf(pages)
    except (ValueError, OSError):
        return 0
