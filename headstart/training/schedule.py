"""How the learning rate rises and falls over a run."""

from __future__ import annotations

import math

from headstart.settings import Training


def schedule(step: int, total_steps: int, settings: Training) -> float:
    """Share of the peak learning rate at this step (counted from 0): a line up, then down as the schedule says.

    linear, cosine (Loshchilov and Hutter 2017, eq. 5), cosine-restarts (the same over `restarts` cycles), polynomial
    ((1 - x)^power), constant.
    """
    warmup = settings.warmup_steps if settings.warmup_steps is not None else round(settings.warmup_ratio * total_steps)
    if step < warmup:
        return (step + 1) / warmup
    progress = min(1.0, (step - warmup) / max(1, total_steps - warmup))
    if settings.schedule == "constant":
        return 1.0
    if settings.schedule == "linear":
        return 1.0 - progress
    if settings.schedule == "polynomial":
        return float((1.0 - progress) ** settings.power)
    if settings.schedule == "cosine-restarts":
        progress = (progress * settings.restarts) % 1.0 if progress < 1.0 else 1.0
    return 0.5 * (1.0 + math.cos(math.pi * progress))
