"""Attention over packed rows on an NVIDIA GPU: one kernel for all segments, and nothing is padded or moved.

The kernels are those that torch's own attention calls for nested tensors: flash attention in half precision (Dao 2023,
"FlashAttention-2"), memory-efficient attention in fp32 (Rabe and Staats 2021). They read where each segment begins,
from `Packing.borders`. Torch does not promise their form, so each is tried once in a process, beside plain attention
of some small segments: where it fails or gives other numbers, a warning says so, and segments are padded in groups.
Shapes as in attention.py.
"""

from __future__ import annotations

import warnings
from functools import cache

import numpy as np
import torch
from torch import Tensor

from headstart.models.packing.dropout import LEVELS, share_in_levels
from headstart.models.packing.packed_row import Packing, pack_segments, segments_of

HALF_TYPES = (torch.bfloat16, torch.float16)
WIDTH_STEP, MAX_WIDTH = 8, 256  # of a head, in these kernels
FLASH_CAPABILITY = (8, 0)  # Ampere
CAUSAL = 1  # custom_mask_type of memory-efficient attention: a query sees the keys up to its own place
TRIED_LENGTHS = (3, 17, 1, 40)
MAX_DIFFERENCE = {torch.bfloat16: 0.05, torch.float16: 0.01, torch.float32: 0.01}  # of states drawn around 0, spread 1


def can_attend(query: Tensor, *, window: int | None, causal: bool, bias: Tensor | None) -> bool:
    """Whether a kernel takes these queries (1, H, T, D) and this mask: no bias, and a window only in half precision."""
    width = query.shape[-1]
    if query.device.type != "cuda" or bias is not None or width % WIDTH_STEP or width > MAX_WIDTH:
        return False
    if torch.version.cuda is None or query.dtype not in (*HALF_TYPES, torch.float32):
        return False
    is_flash = takes_flash(query)
    if not is_flash and (window is not None or query.dtype == torch.bfloat16):
        return False
    return is_right(query.device, query.dtype, width, has_window=window is not None, causal=causal)


def takes_flash(query: Tensor) -> bool:
    """Whether flash attention takes these queries."""
    return query.dtype in HALF_TYPES and has_flash_attention(query.device)


@cache
def has_flash_attention(device: torch.device) -> bool:
    """Whether torch was built with flash attention and the GPU is new enough for it."""
    return (torch.backends.cuda.is_flash_attention_available()
            and torch.cuda.get_device_capability(device) >= FLASH_CAPABILITY)


def attend(query: Tensor, key: Tensor, value: Tensor, packing: Packing, *, dropout: float, scaling: float,
           window: int | None, causal: bool) -> Tensor:
    """Attention inside each segment: (1, H, Q, D), (1, H, T, D), (1, H, T, D) -> (1, Q, H, D).

    Keys and values may have fewer heads, each for several of the queries.
    """
    dropped = share_in_levels(dropout) / LEVELS if dropout else 0.0
    query_borders, most_queries = packing.borders(of_queries=True)
    key_borders, most_keys = packing.borders(of_queries=False)
    output: Tensor
    if takes_flash(query):
        q, k, v = (states[0].transpose(0, 1) for states in (query, key, value))  # (T, H, D)
        distance = None if window is None else window - 1
        output = torch.ops.aten._flash_attention_forward(
            q, k, v, query_borders, key_borders, most_queries, most_keys, dropped, causal, False, scale=scaling,
            window_size_left=distance, window_size_right=0 if causal and window is not None else distance)[0]
        return output[None]
    key, value = repeated_for(query, key), repeated_for(query, value)
    q, k, v = (states.transpose(1, 2) for states in (query, key, value))  # (1, T, H, D)
    output = torch.ops.aten._efficient_attention_forward(
        q, k, v, None, query_borders, key_borders, most_queries, most_keys, dropped, CAUSAL if causal else 0, True,
        scale=scaling)[0]
    return output


def repeated_for(query: Tensor, states: Tensor) -> Tensor:
    """Keys or values for each head of the queries, where several share one (Llama's grouped queries)."""
    groups = query.shape[1] // states.shape[1]
    return states if groups == 1 else states.repeat_interleave(groups, dim=1)


@cache
def is_right(device: torch.device, dtype: torch.dtype, width: int, *, has_window: bool, causal: bool) -> bool:
    """Whether the kernel gives what plain attention gives, of a few small segments; a warning where it does not."""
    window = 5 if has_window else None
    generator = torch.Generator().manual_seed(0)
    states = torch.randn(3, 1, 2, sum(TRIED_LENGTHS), width, generator=generator).to(device, dtype)
    packing = pack_segments(segments_of(np.asarray(TRIED_LENGTHS)), device)
    try:
        with torch.no_grad(), torch.autocast(device.type, enabled=False):
            output = attend(states[0], states[1], states[2], packing, dropout=0.0, scaling=width ** -0.5, window=window,
                            causal=causal)
            difference = float((output.float() - plain(states.float(), packing, window, causal)).abs().max())
    except (RuntimeError, TypeError, AttributeError) as error:
        problem = f"failed: {error}"
    else:
        if difference <= MAX_DIFFERENCE[dtype]:
            return True
        problem = f"is {difference:.3g} off"
    warnings.warn(f"Packed attention in {dtype} is computed another way on this GPU, which is slower: torch's own "
                  f"kernel {problem}", RuntimeWarning, stacklevel=2)
    return False


def plain(states: Tensor, packing: Packing, window: int | None, causal: bool) -> Tensor:
    """Attention of each segment by itself: queries, keys and values (3, 1, H, T, D) -> (1, T, H, D)."""
    outputs = []
    for _, start, end in packing.segments.tolist():
        query, key, value = states[:, :, :, start:end]
        places = torch.arange(end - start, device=states.device)
        distance = places[:, None] - places[None, :]
        visible = (distance.abs() < (window or end)) & (distance >= (0 if causal else -end))
        scores = (query @ key.transpose(-1, -2)) * states.shape[-1] ** -0.5
        outputs.append(scores.masked_fill(~visible, float("-inf")).softmax(-1) @ value)
    return torch.cat(outputs, dim=2).transpose(1, 2)
