"""How many processes share the work on this machine: what `--processes` says, checked against cores and GPUs."""

from __future__ import annotations

import os
import sys

from headstart.errors import Exit, UserError
from headstart.progress import Reporter

AUTO = "auto"
GPU_FILES = ("/dev/nvidiactl", "/dev/dxg", "/dev/nvhost-ctrl", "/dev/kfd")  # one stands there where torch sees a GPU


def choose_process_count(processes: str | int, device: str, reporter: Reporter) -> int:
    """The number of processes; "auto" is one a GPU, and 1 where there is none. Told where it is more than the cores.

    Raises UserError: 2 for what is no number from 1 on, and for more processes than GPUs.
    """
    gpus = count_gpus() if device == AUTO or device.startswith("cuda") else 0
    text = str(processes).strip()
    if text == AUTO:
        if not gpus:
            reporter.info("--processes auto is one a GPU; there is none here: 1 process")
        return max(1, gpus)
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 1024):
        raise UserError(f"--processes takes a number from 1 to 1,024, or auto, but it is {str(processes)!r}.",
                        fix=f"This machine has {count_cores()} cores: --processes {min(2, count_cores())}")
    count = int(text)
    if ":" in device and count > 1:
        raise UserError(f"--processes {count} needs a GPU for each process, but --device {device} names one.",
                        fix="Leave out the number: --device cuda.")
    if gpus and count > gpus:
        raise UserError(f"--processes {count} needs {count} GPUs, but this machine has {gpus}.",
                        fix=f"Use --processes {gpus}, or --device cpu.", exit=Exit.UNAVAILABLE)
    if not gpus and count > count_cores():
        reporter.warning(f"{count} processes share {count_cores()} cores: more processes than cores make nothing "
                         "quicker")
    return count


def threads_per_process(count: int) -> int:
    """Threads of each of so many processes: the cores, divided evenly."""
    return max(1, count_cores() // count)


def chosen_threads(count: int) -> str:
    """OMP_NUM_THREADS of each of so many processes: the environment's, else the cores, divided evenly."""
    return os.environ.get("OMP_NUM_THREADS") or str(threads_per_process(count))


def threads_text(count: int) -> str:
    """How many threads each of so many processes computes with, in words."""
    threads = chosen_threads(count)
    return f"{threads} thread{'' if threads == '1' else 's'}"


def count_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def count_gpus() -> int:
    """NVIDIA GPUs; torch, which takes seconds to load, is asked only where there may be one."""
    if sys.platform == "darwin" or (sys.platform == "linux" and not any(map(os.path.exists, GPU_FILES))):
        return 0
    import torch

    return torch.cuda.device_count()
