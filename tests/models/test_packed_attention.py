"""Packed attention and cheap dropout against torch's own, element by element."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from headstart.models.packing import attention
from headstart.models.packing.attention import packed_attention
from headstart.models.packing.dropout import Dropout, dropout_factors, fast_dropout, replace_dropout
from headstart.models.packing.packed_row import MAX_GROUPS, pack_segments

HEADS, WIDTH = 3, 4
CPU = torch.device("cpu")


def segments(lengths: list[int]) -> np.ndarray:
    ends = np.cumsum(lengths)
    return np.stack([np.zeros(len(lengths), dtype=np.int64), ends - lengths, ends], axis=1).astype(np.int64)


def states(lengths: list[int], seed: int = 0) -> list[torch.Tensor]:
    """q, k, v (1, H, T, D) that require gradients."""
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(1, HEADS, sum(lengths), WIDTH, generator=generator, requires_grad=True) for _ in range(3)]


def one_by_one(query, key, value, lengths: list[int], window: int | None = None, causal: bool = False) -> torch.Tensor:
    """Each segment by torch's own attention: (1, T, H, D)."""
    outputs = []
    for _, start, end in segments(lengths).tolist():
        positions = torch.arange(end - start)
        distances = positions[:, None] - positions[None, :]
        visible = (distances.abs() < (window or len(positions))) & (distances >= 0 if causal else True)
        outputs.append(torch.nn.functional.scaled_dot_product_attention(
            query[:, :, start:end], key[:, :, start:end], value[:, :, start:end], attn_mask=visible, scale=0.5))
    return torch.cat(outputs, dim=2).transpose(1, 2)


LENGTHS = pytest.mark.parametrize("lengths", [
    [5], [1], [1, 1, 1], [4, 4], [3, 9, 1, 7], [2, 40, 3, 3, 17, 90, 5, 1], list(range(1, 30)), [70, 300, 2]])


@LENGTHS
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("window", [None, 3])
def test_packed_attention_is_attention_of_each_segment_with_its_gradients(lengths, window, causal):
    inputs, reference_inputs = states(lengths), states(lengths)
    pack = pack_segments(segments(lengths), CPU)
    options = {"dropout": 0.0, "scaling": 0.5, "window": window, "causal": causal}
    output = packed_attention(*inputs, pack, **options)
    expected = one_by_one(*reference_inputs, lengths, window, causal)
    assert torch.allclose(output, expected, atol=1e-6)
    weights = torch.randn(output.shape, generator=torch.Generator().manual_seed(1))
    (output * weights).sum().backward()
    (expected * weights).sum().backward()
    for tensor, reference in zip(inputs, reference_inputs, strict=True):
        assert torch.allclose(tensor.grad, reference.grad, atol=1e-6)
    with torch.inference_mode():
        assert torch.allclose(packed_attention(*inputs, pack, **options), expected, atol=1e-6)


@LENGTHS
def test_first_tokens_alone_get_what_they_get_among_all(lengths):
    inputs, reference_inputs = states(lengths), states(lengths)
    pack = pack_segments(segments(lengths), CPU, first_tokens_only=True)
    firsts = inputs[0].index_select(2, pack.first_positions)
    output = packed_attention(firsts, *inputs[1:], pack, dropout=0.0, scaling=0.5, first_tokens_only=True)
    expected = one_by_one(*reference_inputs, lengths).index_select(1, pack.first_positions)
    assert torch.allclose(output, expected, atol=1e-6)
    output.square().sum().backward()
    expected.square().sum().backward()
    for tensor, reference in zip(inputs, reference_inputs, strict=True):
        assert torch.allclose(tensor.grad, reference.grad, atol=1e-6)


@pytest.mark.parametrize("firsts", [False, True])
def test_gradients_with_dropout_are_those_of_the_sampled_mask(firsts):
    """The same seed drops the same weights, so a small step along the gradient changes the sum as it says."""
    lengths = [3, 9, 1, 7, 7]
    pack = pack_segments(segments(lengths), CPU, first_tokens_only=firsts)
    inputs = [state.detach().double().requires_grad_() for state in states(lengths)]

    def total() -> torch.Tensor:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(5)
            query = inputs[0].index_select(2, pack.first_positions) if firsts else inputs[0]
            return packed_attention(query, *inputs[1:], pack, dropout=0.5, scaling=0.5,
                                    first_tokens_only=firsts).pow(3).sum()

    total().backward()
    assert total() != packed_attention(inputs[0], *inputs[1:], pack, dropout=0.0, scaling=0.5).pow(3).sum()
    for tensor in inputs:
        assert tensor.grad is not None
        direction = torch.randn(tensor.shape, dtype=tensor.dtype, generator=torch.Generator().manual_seed(2))
        before = tensor.detach().clone()
        with torch.no_grad():
            tensor.copy_(before + 1e-6 * direction)
            above = total()
            tensor.copy_(before - 1e-6 * direction)
            below = total()
            tensor.copy_(before)
        assert float((above - below) / 2e-6) == pytest.approx(float((tensor.grad * direction).sum()), rel=1e-5,
                                                              abs=1e-7)


@LENGTHS
def test_the_path_for_other_devices_gives_the_same(lengths, monkeypatch):
    inputs = states(lengths)
    pack = pack_segments(segments(lengths), CPU)
    windowed = packed_attention(*inputs, pack, dropout=0.0, scaling=0.5, window=5)
    first_tokens = packed_attention(inputs[0].index_select(2, pack.first_positions), *inputs[1:], pack, dropout=0.0,
                                    scaling=0.5, first_tokens_only=True)
    causal = [packed_attention(*inputs, pack, dropout=0.0, scaling=0.5, window=window, causal=True)
              for window in (None, 5)]
    monkeypatch.setattr(attention, "MAX_SMALL_TRAINING", 0)
    for window, before in zip((None, 5), causal, strict=True):
        general = packed_attention(*inputs, pack, dropout=0.0, scaling=0.5, window=window, causal=True)
        assert torch.allclose(before, general, atol=1e-6)
    assert torch.allclose(windowed, packed_attention(*inputs, pack, dropout=0.0, scaling=0.5, window=5), atol=1e-6)
    general = packed_attention(inputs[0].index_select(2, pack.first_positions), *inputs[1:], pack, dropout=0.0,
                               scaling=0.5, first_tokens_only=True)
    assert torch.allclose(first_tokens, general, atol=1e-6)


def test_groups_hold_every_segment_once_and_little_padding():
    generator = np.random.default_rng(0)
    for count in (1, 2, 33, 400):
        lengths = generator.integers(1, 60, count).tolist()
        pack = pack_segments(segments(lengths), CPU)
        assert sorted(pack.padded.segment_order.tolist()) == list(range(count)) and len(pack.groups) <= MAX_GROUPS
        assert sorted(set(pack.padded.scatter.tolist())) == sorted(pack.padded.scatter.tolist())
        assert torch.equal(pack.padded.gather.index_select(0, pack.padded.scatter), torch.arange(sum(lengths)))
        single_group = count * max(lengths) ** 2
        assert sum(group.count * group.max_length ** 2 for group in pack.groups) <= single_group


def test_dropout_keeps_the_mean_and_drops_the_share_it_says():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        output = fast_dropout(torch.ones(1000, 1003), 0.1)
    dropped = (output == 0).double().mean()
    assert float(dropped) == pytest.approx(26 / 256, abs=2e-3)
    assert float(output.double().mean()) == pytest.approx(1.0, abs=2e-3)
    assert set(output.unique().tolist()) == {0.0, float(np.float32(256 / 230))}


def test_dropout_draws_from_the_seed_and_neighbours_are_independent():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        first = dropout_factors((7, 1001), 0.5, torch.float32)
        second = dropout_factors((7, 1001), 0.5, torch.float32)
        torch.manual_seed(3)
        assert torch.equal(first, dropout_factors((7, 1001), 0.5, torch.float32))
    assert not torch.equal(first, second)
    flat = (first.flatten() > 0).double()
    for step in (1, 2, 7, 8, 64):
        assert abs(float(np.corrcoef(flat[:-step], flat[step:])[0, 1])) < 0.05


def test_dropout_takes_the_place_of_every_dropout_and_adds_no_weight():
    model = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Dropout(0.3),
                                torch.nn.Sequential(torch.nn.Dropout(0.0)))
    names = list(model.state_dict())
    replace_dropout(model)
    assert isinstance(model[1], Dropout) and model[1].p == 0.3 and isinstance(model[2][0], Dropout)
    assert list(model.state_dict()) == names
    values = torch.randn(5, 4)
    assert torch.equal(model.eval()(values), model[0](values))
    assert not torch.equal(model.train()(values), model[0](values))


@LENGTHS
@pytest.mark.parametrize("first_tokens_only", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_queries_keys_and_values_may_be_parts_of_one_product(lengths, first_tokens_only, dtype):
    """As they lie then, a token's rows are further apart than it has heads; nothing is copied before they are read."""
    product = torch.randn(1, sum(lengths), 3 * HEADS * WIDTH, generator=torch.Generator().manual_seed(0)).to(dtype)
    parts = [part.view(1, -1, HEADS, WIDTH).transpose(1, 2) for part in product.chunk(3, dim=-1)]
    pack = pack_segments(segments(lengths), CPU, first_tokens_only=first_tokens_only)
    assert sum(lengths) == 1 or [attention.spacing(part) for part in parts] == [3 * HEADS] * 3
    if first_tokens_only:
        parts[0] = parts[0].index_select(2, pack.first_positions)
    options = {"dropout": 0.0, "scaling": 0.5, "first_tokens_only": first_tokens_only}
    output = packed_attention(*parts, pack, **options)
    again = packed_attention(*parts, pack, **options)
    apart = packed_attention(*[part.transpose(1, 2).contiguous().transpose(1, 2) for part in parts], pack, **options)
    assert torch.equal(output, again) and torch.allclose(output, apart, atol=1e-2 if dtype == torch.bfloat16 else 1e-6)
    with_gradient = [part.clone().requires_grad_() for part in parts]
    packed_attention(*with_gradient, pack, **options).float().sum().backward()
    assert with_gradient[2].grad is not None
