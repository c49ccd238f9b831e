"""How fast this machine multiplies matrices, and what a training takes at that speed."""

from __future__ import annotations

import time

ROWS, WIDTH, INNER = 1024, 384, 1536  # a product of MiniLM's feed-forward layers, of a batch's 1,024 tokens
MINILM_OPERATIONS = 64e6  # of training one token: forwards, backwards, in all layers
USUAL_SHARE = 0.45  # of the products' speed that a whole training reaches; docs/performance.md has it measured


def matrix_speed(precision: str, device: str, *, seconds: float = 0.3) -> float:
    """Operations a second of a matrix product in fp32, bf16 or fp16: the best of what is repeated for `seconds`."""
    import torch

    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[precision]
    states = torch.randn(ROWS, WIDTH, device=device).to(dtype)
    weights = torch.randn(INNER, WIDTH, device=device).to(dtype)

    def product() -> float:
        start = time.perf_counter()
        torch.nn.functional.linear(states, weights)
        if device.startswith("cuda"):
            torch.cuda.synchronize(device)
        return time.perf_counter() - start

    product()  # the first sets up
    best, end = product(), time.perf_counter() + seconds
    while time.perf_counter() < end:
        best = min(best, product())
    return 2 * ROWS * WIDTH * INNER / best


def training_seconds(operations_per_second: float, *, rows: int, tokens_per_row: int, epochs: int) -> float:
    """About how long MiniLM takes, in seconds, on a machine whose products reach this speed."""
    return MINILM_OPERATIONS * rows * tokens_per_row * epochs / (USUAL_SHARE * operations_per_second)
