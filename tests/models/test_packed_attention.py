"""Packed attention and cheap dropout against torch's own, place by place."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from headstart.models.packing import attention
from headstart.models.packing.attention import packed_attention, packing
from headstart.models.packing.dropout import Dropout, cheap_dropout, multiplier, replace_dropout

HEADS, WIDTH = 3, 4
CPU = torch.device("cpu")


def segments(lengths: list[int]) -> np.ndarray:
    ends = np.cumsum(lengths)
    return np.stack([np.zeros(len(lengths), dtype=np.int64), ends - lengths, ends], axis=1).astype(np.int64)


def states(lengths: list[int], seed: int = 0) -> list[torch.Tensor]:
    """q, k, v (1, H, T, D) that want gradients."""
    draw = torch.Generator().manual_seed(seed)
    return [torch.randn(1, HEADS, sum(lengths), WIDTH, generator=draw, requires_grad=True) for _ in range(3)]


def one_by_one(query, key, value, lengths: list[int], window: int | None = None, causal: bool = False) -> torch.Tensor:
    """Each segment by torch's own attention: (1, T, H, D)."""
    made = []
    for _, begin, end in segments(lengths).tolist():
        steps = torch.arange(end - begin)
        away = steps[:, None] - steps[None, :]
        near = (away.abs() < (window or len(steps))) & (away >= 0 if causal else True)
        made.append(torch.nn.functional.scaled_dot_product_attention(
            query[:, :, begin:end], key[:, :, begin:end], value[:, :, begin:end], attn_mask=near, scale=0.5))
    return torch.cat(made, dim=2).transpose(1, 2)


LENGTHS = pytest.mark.parametrize("lengths", [
    [5], [1], [1, 1, 1], [4, 4], [3, 9, 1, 7], [2, 40, 3, 3, 17, 90, 5, 1], list(range(1, 30)), [70, 300, 2]])


@LENGTHS
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("window", [None, 3])
def test_packed_attention_is_attention_of_each_segment_with_its_gradients(lengths, window, causal):
    ours, theirs = states(lengths), states(lengths)
    pack = packing(segments(lengths), CPU)
    options = {"dropout": 0.0, "scaling": 0.5, "window": window, "causal": causal}
    mixed = packed_attention(*ours, pack, **options)
    wanted = one_by_one(*theirs, lengths, window, causal)
    assert torch.allclose(mixed, wanted, atol=1e-6)
    weights = torch.randn(mixed.shape, generator=torch.Generator().manual_seed(1))
    (mixed * weights).sum().backward()
    (wanted * weights).sum().backward()
    for mine, other in zip(ours, theirs, strict=True):
        assert torch.allclose(mine.grad, other.grad, atol=1e-6)
    with torch.inference_mode():
        assert torch.allclose(packed_attention(*ours, pack, **options), wanted, atol=1e-6)


@LENGTHS
def test_first_tokens_alone_get_what_they_get_among_all(lengths):
    ours, theirs = states(lengths), states(lengths)
    pack = packing(segments(lengths), CPU, first_only=True)
    firsts = ours[0].index_select(2, pack.firsts)
    mixed = packed_attention(firsts, *ours[1:], pack, dropout=0.0, scaling=0.5, firsts=True)
    wanted = one_by_one(*theirs, lengths).index_select(1, pack.firsts)
    assert torch.allclose(mixed, wanted, atol=1e-6)
    mixed.square().sum().backward()
    wanted.square().sum().backward()
    for mine, other in zip(ours, theirs, strict=True):
        assert torch.allclose(mine.grad, other.grad, atol=1e-6)


@pytest.mark.parametrize("firsts", [False, True])
def test_gradients_with_dropout_are_those_of_the_numbers_that_were_drawn(firsts):
    """The same seed drops the same weights, so a small step along the gradient changes the sum as it says."""
    lengths = [3, 9, 1, 7, 7]
    pack = packing(segments(lengths), CPU, first_only=firsts)
    held = [one.detach().double().requires_grad_() for one in states(lengths)]

    def total() -> torch.Tensor:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(5)
            query = held[0].index_select(2, pack.firsts) if firsts else held[0]
            return packed_attention(query, *held[1:], pack, dropout=0.5, scaling=0.5, firsts=firsts).pow(3).sum()

    total().backward()
    assert total() != packed_attention(held[0], *held[1:], pack, dropout=0.0, scaling=0.5).pow(3).sum()
    for one in held:
        assert one.grad is not None
        direction = torch.randn(one.shape, dtype=one.dtype, generator=torch.Generator().manual_seed(2))
        before = one.detach().clone()
        with torch.no_grad():
            one.copy_(before + 1e-6 * direction)
            above = total()
            one.copy_(before - 1e-6 * direction)
            below = total()
            one.copy_(before)
        assert float((above - below) / 2e-6) == pytest.approx(float((one.grad * direction).sum()), rel=1e-5, abs=1e-7)


@LENGTHS
def test_the_way_of_other_devices_gives_the_same(lengths, monkeypatch):
    held = states(lengths)
    pack = packing(segments(lengths), CPU)
    small = packed_attention(*held, pack, dropout=0.0, scaling=0.5, window=5)
    first = packed_attention(held[0].index_select(2, pack.firsts), *held[1:], pack, dropout=0.0, scaling=0.5, firsts=True)
    causal = [packed_attention(*held, pack, dropout=0.0, scaling=0.5, window=window, causal=True) for window in (None, 5)]
    monkeypatch.setattr(attention, "SMALL_TRAINED", 0)
    for window, before in zip((None, 5), causal, strict=True):
        again = packed_attention(*held, pack, dropout=0.0, scaling=0.5, window=window, causal=True)
        assert torch.allclose(before, again, atol=1e-6)
    assert torch.allclose(small, packed_attention(*held, pack, dropout=0.0, scaling=0.5, window=5), atol=1e-6)
    again = packed_attention(held[0].index_select(2, pack.firsts), *held[1:], pack, dropout=0.0, scaling=0.5, firsts=True)
    assert torch.allclose(first, again, atol=1e-6)


def test_groups_hold_every_segment_once_and_little_padding():
    draw = np.random.default_rng(0)
    for count in (1, 2, 33, 400):
        lengths = draw.integers(1, 60, count).tolist()
        pack = packing(segments(lengths), CPU)
        assert sorted(pack.order.tolist()) == list(range(count)) and len(pack.groups) <= attention.GROUPS
        assert sorted(set(pack.scatter.tolist())) == sorted(pack.scatter.tolist())
        assert torch.equal(pack.gather.index_select(0, pack.scatter), torch.arange(sum(lengths)))
        one = count * max(lengths) ** 2
        assert sum(group.count * group.longest ** 2 for group in pack.groups) <= one


def test_dropout_keeps_the_mean_and_drops_the_share_it_says():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        made = cheap_dropout(torch.ones(1000, 1003), 0.1)
    dropped = (made == 0).double().mean()
    assert float(dropped) == pytest.approx(26 / 256, abs=2e-3)
    assert float(made.double().mean()) == pytest.approx(1.0, abs=2e-3)
    assert set(made.unique().tolist()) == {0.0, float(np.float32(256 / 230))}


def test_dropout_draws_from_the_seed_and_neighbours_are_independent():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        first = multiplier((7, 1001), 0.5, torch.float32)
        second = multiplier((7, 1001), 0.5, torch.float32)
        torch.manual_seed(3)
        assert torch.equal(first, multiplier((7, 1001), 0.5, torch.float32))
    assert not torch.equal(first, second)
    flat = (first.flatten() > 0).double()
    for step in (1, 2, 7, 8, 64):
        assert abs(float(np.corrcoef(flat[:-step], flat[step:])[0, 1])) < 0.05


def test_dropout_takes_the_place_of_every_dropout_and_adds_no_weight():
    made = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Dropout(0.3), torch.nn.Sequential(torch.nn.Dropout(0.0)))
    names = list(made.state_dict())
    replace_dropout(made)
    assert isinstance(made[1], Dropout) and made[1].p == 0.3 and isinstance(made[2][0], Dropout)
    assert list(made.state_dict()) == names
    values = torch.randn(5, 4)
    assert torch.equal(made.eval()(values), made[0](values))
    assert not torch.equal(made.train()(values), made[0](values))
