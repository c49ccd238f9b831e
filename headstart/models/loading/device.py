"""The device that a model runs on, and the memory that is free on it."""

from __future__ import annotations

import os
from pathlib import Path

from headstart.errors import Exit, UserError


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
        return name
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


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
