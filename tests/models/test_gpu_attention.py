"""What the kernels of a GPU are asked for, checked without one: plain attention that reads the same arguments stands in
for them, and torch's own shapes and gradients on its device without numbers.
"""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch

from headstart.models.packing import gpu_attention
from headstart.models.packing.attention import packed_attention
from headstart.models.packing.packed_row import pack_cross_attention, pack_segments, segments_of

CPU = torch.device("cpu")
HEADS, WIDTH = 4, 8


def states(count, heads=HEADS, seed=0):
    return torch.randn(1, heads, count, WIDTH, generator=torch.Generator().manual_seed(seed))


def by_borders(query, key, value, query_borders, key_borders, visible, scale):
    """Attention of the queries and keys between the same two borders: (T, H, D) each -> (T, H, D)."""
    assert not torch.is_autocast_enabled("cpu"), "what is compared would be rounded"
    outputs = []
    for index in range(len(query_borders) - 1):
        q, k, v = (part[borders[index]:borders[index + 1]].transpose(0, 1) for part, borders in
                   ((query, query_borders), (key, key_borders), (value, key_borders)))
        k, v = (part.repeat_interleave(len(q) // len(part), dim=0) for part in (k, v))
        distance = torch.arange(q.shape[1])[:, None] - torch.arange(k.shape[1])[None, :]
        scores = (q @ k.transpose(1, 2) * scale).masked_fill(~visible(distance), float("-inf"))
        outputs.append((scores.softmax(-1) @ v).transpose(0, 1))
    return torch.cat(outputs)


def flash(query, key, value, query_borders, key_borders, most_queries, most_keys, dropout, causal, debug, *, scale,
          window_size_left, window_size_right):
    assert int(query_borders.diff().max()) == most_queries and int(key_borders.diff().max()) == most_keys
    assert query_borders.dtype == key_borders.dtype == torch.int32 and not debug and not dropout
    left, right = (10_000 if size is None else size for size in (window_size_left, window_size_right))
    return (by_borders(query, key, value, query_borders, key_borders,
                       lambda distance: (distance <= left) & (distance >= (0 if causal else -right)), scale),)


def efficient(query, key, value, bias, query_borders, key_borders, most_queries, most_keys, dropout, mask_type,
              needs_sums, *, scale):
    assert bias is None and needs_sums and not dropout
    assert int(query_borders.diff().max()) == most_queries and int(key_borders.diff().max()) == most_keys
    return (by_borders(query[0], key[0], value[0], query_borders, key_borders,
                       lambda distance: distance >= (0 if mask_type == 1 else -10_000), scale)[None],)


@pytest.fixture(params=["flash", "efficient"])
def kernel(request, monkeypatch):
    """Plain attention in the place of the kernels."""
    monkeypatch.setattr(torch.ops.aten, "_flash_attention_forward", flash, raising=False)
    monkeypatch.setattr(torch.ops.aten, "_efficient_attention_forward", efficient, raising=False)
    monkeypatch.setattr(gpu_attention, "takes_flash", lambda query: request.param == "flash")
    return request.param


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("window", [None, 3])
@pytest.mark.parametrize("key_heads", [HEADS, 2])
def test_the_kernels_are_asked_for_attention_of_each_segment(kernel, key_heads, window, causal):
    if kernel == "efficient" and window is not None:
        pytest.skip("takes no window, and is not asked for one")
    generator = np.random.default_rng(0)
    for _ in range(5):
        lengths = generator.integers(1, 12, size=generator.integers(1, 9)).tolist()
        pack = pack_segments(segments_of(np.asarray(lengths)), CPU)
        query, key, value = states(sum(lengths)), *(states(sum(lengths), key_heads, seed) for seed in (1, 2))
        options = {"dropout": 0.0, "scaling": 0.3, "window": window, "causal": causal}
        expected = packed_attention(query, key.requires_grad_(), value, pack, **options)  # in padded groups
        torch.testing.assert_close(gpu_attention.attend(query, key, value, pack, **options), expected)


def test_first_tokens_and_cross_attention_have_borders_of_their_own(kernel):
    lengths, query_lengths = [3, 9, 1, 7], [2, 5, 4, 1]
    options = {"dropout": 0.0, "scaling": 0.3, "window": None, "causal": False}
    key, value = states(sum(lengths), seed=1).requires_grad_(), states(sum(lengths), seed=2)
    pack = pack_segments(segments_of(np.asarray(lengths)), CPU, first_tokens_only=True)
    query = states(len(lengths))
    torch.testing.assert_close(gpu_attention.attend(query, key, value, pack, **options), packed_attention(
        query, key, value, pack, dropout=0.0, scaling=0.3, first_tokens_only=True))
    pack, query = pack_cross_attention(segments_of(np.asarray(lengths)), segments_of(np.asarray(query_lengths)), CPU), states(sum(query_lengths))
    torch.testing.assert_close(gpu_attention.attend(query, key, value, pack, **options),
                               packed_attention(query, key, value, pack, dropout=0.0, scaling=0.3))


def test_a_kernel_that_is_right_is_taken_and_another_left_with_a_warning(kernel, monkeypatch):
    gpu_attention.is_right.cache_clear()
    dtype = torch.float32
    with warnings.catch_warnings(), torch.autocast("cpu", torch.bfloat16):  # as in a training in bf16
        warnings.simplefilter("error")
        assert all(gpu_attention.is_right(CPU, dtype, WIDTH, has_window=kernel == "flash" and window, causal=causal)
                   for window in (False, True) for causal in (False, True))
    gpu_attention.is_right.cache_clear()
    name = f"_{kernel}_attention_forward"
    original = getattr(torch.ops.aten, name)
    monkeypatch.setattr(torch.ops.aten, name, lambda *arguments, **options: (
        original(*arguments, **options)[0] + 0.1,), raising=False)
    with pytest.warns(RuntimeWarning, match=r"another way on this GPU.* kernel is 0\.1 off"):
        assert not gpu_attention.is_right(CPU, dtype, WIDTH, has_window=False, causal=True)
    monkeypatch.setattr(torch.ops.aten, name, lambda *arguments: (), raising=False)  # another form
    with pytest.warns(RuntimeWarning, match="kernel failed: "):
        assert not gpu_attention.is_right(CPU, dtype, WIDTH, has_window=False, causal=False)
    gpu_attention.is_right.cache_clear()


def test_torch_has_the_kernels_in_the_form_that_they_are_called_in(monkeypatch):
    """Shapes and, of flash attention, gradients, on the device without numbers."""
    device, pack = torch.device("meta"), pack_segments(segments_of(np.asarray([3, 9, 1, 7])), torch.device("meta"))
    for is_flash, dtype in ((True, torch.bfloat16), (False, torch.float32)):
        monkeypatch.setattr(gpu_attention, "takes_flash", lambda query, answer=is_flash: answer)
        query, key, value = (torch.empty(1, HEADS, 20, WIDTH, dtype=dtype, device=device, requires_grad=True)
                             for _ in range(3))
        for window in (None, 3) if is_flash else (None,):
            output = gpu_attention.attend(query, key, value, pack, dropout=0.1, scaling=0.3, window=window, causal=True)
            assert output.shape == (1, 20, HEADS, WIDTH) and output.requires_grad
        if is_flash:
            output.sum().backward()
            assert query.grad.shape == query.shape


def test_a_processor_never_takes_them():
    assert not gpu_attention.can_attend(states(5), window=None, causal=False, bias=None)
