"""In what precision a model predicts and is scored: by rule, with the reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from headstart.models.loading.device import multiplies_bf16

if TYPE_CHECKING:
    from headstart.progress import Reporter

Precision = Literal["fp32", "bf16", "fp16"]
SCORES_IN_FP32 = "scores are compared with others'"


@dataclass(frozen=True)
class PrecisionChoice:
    """What a model computes in, why, and whether that is another than was asked for."""

    name: Precision
    reason: str
    replaced: bool = False

    @property
    def sentence(self) -> str:
        """The choice in a line, for the console."""
        return f"precision {self.name}: {self.reason}"

    def tell(self, reporter: Reporter, subject: str = "") -> None:
        """Say it in a line; as a warning where it is not what was asked for."""
        text = f"{subject}{self.sentence}"
        if self.replaced:
            reporter.warning(text)
        else:
            reporter.info(text)


def choose_evaluation_precision(setting: str, device: str, *, scores: bool = False) -> PrecisionChoice:
    """By evaluation.precision, what a model predicts in, or with `scores`, what it is scored in.

    A device that cannot multiply what was asked for computes in the nearest that it can, and the choice says so.
    """
    has_bf16, reason = multiplies_bf16(device)
    if setting == "auto":
        if scores:
            return PrecisionChoice("fp32", SCORES_IN_FP32 + (" (--precision bf16 is quicker)" if has_bf16 else ""))
        return PrecisionChoice("bf16", f"{reason} (--precision fp32: all digits)") if has_bf16 \
            else PrecisionChoice("fp32", reason)
    if setting == "bf16" and not has_bf16 and not device.startswith("mps"):
        return PrecisionChoice("fp32", f"bf16 was asked for, but {reason}; emulated, it would be slower", replaced=True)
    if setting == "fp16" and not device.startswith("cuda"):
        place = "Apple's GPU" if device.startswith("mps") else "the processor"
        return PrecisionChoice("bf16" if has_bf16 else "fp32", "fp16 was asked for, which needs an NVIDIA GPU, and "
                               f"this is {place}" + (f"; {reason}" if has_bf16 else ""), replaced=True)
    name: Any = setting
    return PrecisionChoice(name, "you chose it")
