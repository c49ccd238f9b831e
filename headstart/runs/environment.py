"""What a run ran on: versions, machine, threads, commit."""

from __future__ import annotations

import platform
from pathlib import Path

from headstart.contract import Json


def environment(device: str, processes: int = 1) -> dict[str, Json]:
    """Versions, machine, processes and threads of this run: environment.json."""
    import importlib.metadata
    import os
    import sys

    import torch

    packages = ("torch", "transformers", "tokenizers", "safetensors", "numpy", "scikit-learn")
    return {
        "python": sys.version.split()[0],
        "packages": {name: importlib.metadata.version(name) for name in packages},
        "system": platform.platform(),
        "processor": processor(),
        "cores": os.cpu_count(),
        "processes": processes,
        "threads": torch.get_num_threads(),  # of this one
        "device": torch.cuda.get_device_name() if device.startswith("cuda") else device,
        "git_commit": git_commit(),
    }


def processor() -> str:
    """The processor's name."""
    try:
        for text in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if text.startswith("model name"):
                return text.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def git_commit() -> str | None:
    """The commit of the folder the user works in; None outside a repository."""
    import subprocess

    try:
        process = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return process.stdout.strip() or None
