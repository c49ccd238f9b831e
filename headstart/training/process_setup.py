"""Settings of the process that make training steps faster and change no number."""

from __future__ import annotations

import ctypes
import os
import sys

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # their numbers in glibc's malloc.h
MAX_INT = 2**31 - 1  # the options are C ints


def set_up() -> bool:
    """Keep freed memory for the next step instead of giving it back to the system; True where that can be set.

    glibc returns every buffer above 32 MB at once, so each step of a small BERT faults 70 MB of pages in again
    (the gradient of its embeddings alone is 47 MB): 198 ms a step become 162 (MiniLM, batch 32, 2 cores). The
    first steps still fault: glibc 2.36 keeps up to seven remainders of aligned buffers before it reuses the buffers
    themselves, which costs as many buffers of the largest size. Other C libraries are left alone.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        option = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return False
    return bool(option(MMAP_THRESHOLD, 2**30)) and bool(option(TRIM_THRESHOLD, MAX_INT))


def set_up_process() -> None:
    """Once for the process: tokenizers that start no threads of their own, and memory that is kept between steps."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    set_up()
