"""In what precision matrices are multiplied: by rule, with the reason."""

from __future__ import annotations

import contextlib
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from headstart.errors import Exit, UserError
from headstart.models.loading.device import multiplies_bf16

if TYPE_CHECKING:
    import torch


def choose_precision(setting: str, device: str) -> tuple[str, str]:
    """fp32, bf16 or fp16, and why; raises UserError (78) for fp16 without a GPU."""
    if setting == "fp16" and not device.startswith("cuda"):
        place = "Apple's GPU" if device.startswith("mps") else "the processor"
        raise UserError(f"training.precision=fp16 needs an NVIDIA GPU; this run is on {place}.",
                        fix="Use auto, bf16 or fp32.", exit=Exit.SETTINGS)
    has_bf16, reason = multiplies_bf16(device)
    if setting != "auto":
        emulated = setting == "bf16" and not has_bf16 and device == "cpu"
        return setting, f"you chose it; {reason}, so it is emulated: fp32 is quicker" if emulated else "you chose it"
    if has_bf16:
        return "bf16", reason
    return ("fp16", f"{reason}; losses are scaled") if device.startswith("cuda") else ("fp32", reason)


def autocast(precision: str, device: str) -> AbstractContextManager[object]:
    """Matrix products in this precision inside the context; weights stay in fp32."""
    import torch

    if precision == "fp32":
        return contextlib.nullcontext()
    dtype: torch.dtype = torch.bfloat16 if precision == "bf16" else torch.float16
    return torch.autocast(device.split(":")[0], dtype=dtype)
