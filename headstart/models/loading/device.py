"""The device that a model runs on, and the memory that is free on it."""

from __future__ import annotations

import os
from pathlib import Path

from headstart.errors import Exit, UserError


def choose_device(name: str) -> str:
    """The device as torch names it; "auto" takes a GPU where there is one. Raises UserError (69) for one that is not
    there.
    """
    import torch

    if name != "auto":
        if name.startswith("cuda") and not torch.cuda.is_available():
            raise UserError(f"--device {name} needs an NVIDIA GPU, and torch sees none.",
                            fix="Use --device cpu; headstart doctor says what this machine has.", exit=Exit.UNAVAILABLE)
        return name
    return "cuda" if torch.cuda.is_available() else "cpu"


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
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES")
