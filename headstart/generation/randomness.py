"""The random numbers of sampled texts: torch's generator, which is one for the whole process."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

SAMPLING = threading.RLock()  # reentrant: what receives a streamed text may generate another


@contextlib.contextmanager
def seeded(do_sample: bool, seed: int) -> Iterator[None]:
    """For a while torch's generator starts from this seed; afterwards it is as it was.

    The library's sampling takes no generator of its own, so texts are sampled in one thread at a time. Without sampling
    there are no random numbers, and no thread waits.
    """
    import torch

    if not do_sample:
        yield
        return
    with SAMPLING, torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield
