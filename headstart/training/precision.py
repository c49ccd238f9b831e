"""In what precision matrices are multiplied: by rule, with the reason."""

from __future__ import annotations

import contextlib
from contextlib import AbstractContextManager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from headstart.errors import Exit, UserError

if TYPE_CHECKING:
    import torch


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


def choose_precision(setting: str, device: str) -> tuple[str, str]:
    """fp32, bf16 or fp16, and why; raises UserError (78) for fp16 without a GPU."""
    import torch

    if setting == "fp16" and not device.startswith("cuda"):
        place = "Apple's GPU" if device.startswith("mps") else "the processor"
        raise UserError(f"training.precision=fp16 needs an NVIDIA GPU; this run is on {place}.",
                        fix="Use auto, bf16 or fp32.", exit=Exit.SETTINGS)
    if setting != "auto":
        return setting, "you chose it"
    if device.startswith("cuda"):
        if torch.cuda.is_bf16_supported():
            return "bf16", "the GPU multiplies it natively"
        return "fp16", "the GPU has no bf16; losses are scaled"
    if device.startswith("mps"):
        return "fp32", "which of the others Apple's GPU is quicker in was not measured"
    for flag in ("amx_bf16", "avx512_bf16"):
        if flag in processor_flags():
            return "bf16", f"the processor has {flag}"
    return "fp32", "the processor has no fast bf16"


def autocast(precision: str, device: str) -> AbstractContextManager[object]:
    """Matrix products in this precision inside the context; weights stay in fp32."""
    import torch

    if precision == "fp32":
        return contextlib.nullcontext()
    dtype: torch.dtype = torch.bfloat16 if precision == "bf16" else torch.float16
    return torch.autocast(device.split(":")[0], dtype=dtype)
