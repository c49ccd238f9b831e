"""`headstart doctor`: what this machine has and lacks, how fast it is, and what that means."""

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

SUMMARY = "show what this machine has and lacks, and how fast it is"
DISTRIBUTION = "headstart"
OWN_EXTRAS = frozenset(("test", "check", "bench", "all"))  # for those who work on headstart, or made of the others


def add(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    _flags.add_shared(parser, "--json")


def run(arguments: argparse.Namespace) -> int:
    """Print versions, processor, memory, disk, GPU, precision, speed and extras."""
    machine = machine_facts()
    if arguments.json:
        print(json.dumps(machine, ensure_ascii=False))
        return 0
    width = max(map(len, machine))
    for name, value in machine.items():
        print(f"{name:<{width}}  {value}")
    return 0


def version(package: str) -> str | None:
    """The installed version of a package; None when it is not there."""
    import importlib.metadata

    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def machine_facts() -> dict[str, Any]:
    """Versions, hardware, speed and extras by name."""
    import torch

    from headstart.models.loading.device import choose_device, free_memory, memory_size
    from headstart.training.precision import choose_precision

    device = choose_device("auto")
    precision, reason = choose_precision("auto", device)
    total_memory = memory_size("SC_PHYS_PAGES")
    return {
        "headstart": __version__,
        "python": sys.version.split()[0],
        "torch": torch.__version__,
        "transformers": version("transformers"),
        "system": platform.platform(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "memory": f"{total_memory / 2**30:.1f} GiB, {free_memory('cpu') / 2**30:.1f} free",
        "free disk": f"{shutil.disk_usage('.').free / 2**30:.1f} GiB",
        "gpu": (torch.cuda.get_device_name() if device == "cuda" else "Apple's (mps)" if device == "mps"
                else "none that torch sees"),
        "precision": f"{precision}: {reason}",
        **speed_facts(precision, device),
        **requirement_facts(),
    }


def speed_facts(precision: str, device: str) -> dict[str, str]:
    """The speed of matrix products, and about how long a usual training takes at it."""
    from headstart.training.machine_speed import matrix_speed, training_seconds

    speeds = {name: matrix_speed(name, device) for name in dict.fromkeys(("fp32", precision))}
    minutes = training_seconds(speeds[precision], rows=10_000, tokens_per_row=20, epochs=5) / 60
    duration = f"{minutes:.0f} minutes" if minutes >= 2 else f"{60 * minutes:.0f} seconds"
    return {"speed": ", ".join(f"{speed / 1e9:,.0f} billion operations a second in {name}"
                               for name, speed in speeds.items()),
            "so": f"5 epochs of 10,000 short texts with MiniLM take about {duration} here, when nothing else runs"}


def requirement_facts() -> dict[str, str]:
    """What is too old or missing of headstart's own requirements, then each extra: there, too old, or missing."""
    import importlib.metadata

    from packaging.requirements import Requirement

    if version(DISTRIBUTION) is None:
        return {"requirements": f"not known: {DISTRIBUTION} is run from its source, and is not installed"}
    required: list[str] = []
    extras: dict[str, list[str]] = {}
    extra_names = [extra for extra in importlib.metadata.metadata(DISTRIBUTION).get_all("Provides-Extra") or ()
                   if extra not in OWN_EXTRAS]
    for requirement in map(Requirement, importlib.metadata.requires(DISTRIBUTION) or ()):
        state = requirement_state(requirement)
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            required.append(state)
            continue
        for extra in extra_names:
            if requirement.marker.evaluate({"extra": extra}):
                extras.setdefault(extra, []).append(state)
    faults = [state for state in required if is_fault(state)]
    return {"requirements": "; ".join(faults) if faults else f"all {len(required)} are there"} | {
        extra: extra_words(extra, states) for extra, states in extras.items()}


def requirement_state(requirement: Any) -> str:
    """`pyarrow 26.0.1` where a fitting version is installed; else what is wrong, in words."""
    name = requirement.name
    installed = version(name)
    if installed is None:
        return f"missing: {name}"
    if not requirement.specifier.contains(installed, prereleases=True):
        return f"does not fit: {name} {installed}, {requirement.specifier} is needed"
    return f"{name} {installed}"


def is_fault(state: str) -> bool:
    """Whether a requirement's state says what is wrong: "missing: peft"."""
    return ": " in state


def extra_words(extra: str, states: list[str]) -> str:
    """What an extra's packages are, and the command that mends it."""
    faults = [state for state in states if is_fault(state)]
    if not faults:
        return ", ".join(states)
    return f"{'; '.join(faults)}; pip install --upgrade 'headstart[{extra}]'"
