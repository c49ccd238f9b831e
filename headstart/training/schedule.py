"""How the learning rate rises and falls over a run."""

from __future__ import annotations

import math

from headstart.settings import Training


def schedule(update: int, total: int, settings: Training) -> float:
    """Share of the peak learning rate at this update (counted from 0): a line up, then down as the schedule says.

    linear, cosine (Loshchilov and Hutter 2017, eq. 5), cosine-restarts (the same over `restarts` cycles), polynomial
    ((1 - x)^power), constant.
    """
    warmup = settings.warmup_updates if settings.warmup_updates is not None else round(settings.warmup * total)
    if update < warmup:
        return (update + 1) / warmup
    share = min(1.0, (update - warmup) / max(1, total - warmup))
    if settings.schedule == "constant":
        return 1.0
    if settings.schedule == "linear":
        return 1.0 - share
    if settings.schedule == "polynomial":
        return float((1.0 - share) ** settings.power)
    if settings.schedule == "cosine-restarts":
        share = (share * settings.restarts) % 1.0 if share < 1.0 else 1.0
    return 0.5 * (1.0 + math.cos(math.pi * share))
