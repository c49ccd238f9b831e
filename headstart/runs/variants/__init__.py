"""Ways to train: plain, LoRA, distillation, early exit, few rows; each changes a few hooks of a run."""

from headstart.runs.variants.distillation import DistillationVariant
from headstart.runs.variants.early_exit import EarlyExitVariant
from headstart.runs.variants.few_rows import FewRows
from headstart.runs.variants.lora import LoraVariant
from headstart.runs.variants.variant import FromScratch, Variant
from headstart.settings.run_settings import RunSettings


def choose_variant(settings: RunSettings) -> Variant:
    """The way of training that the settings ask for."""
    if settings.training.method in ("contrastive", "frozen"):
        return FewRows(settings.training.method)
    if settings.teacher is not None:
        return DistillationVariant()
    if settings.training.adapter != "none":
        return LoraVariant()
    if settings.training.early_exit:
        return EarlyExitVariant(pretrained=settings.from_scratch is None)
    return FromScratch() if settings.from_scratch is not None else Variant()
