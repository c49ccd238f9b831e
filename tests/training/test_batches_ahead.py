"""Batches of the next step, begun early on a GPU and never otherwise: the same batches, each laid out once."""

import threading

import pytest

from headstart.training.batches_ahead import BatchesAhead


@pytest.mark.parametrize("device", ["cpu", "cuda", "cuda:1"])
def test_each_step_gets_its_own_batches_laid_out_once(device):
    laid_out = []

    def lay_out(examples, size):
        laid_out.append((examples, size, threading.current_thread() is threading.main_thread()))
        return [examples, size]

    with BatchesAhead(lay_out, device) as ahead:
        assert [ahead.of_step("abc", place, 4) for place in range(3)] == [["a", 4], ["b", 4], ["c", 4]]
        assert ahead.of_step("xy", 0, 4) == ["x", 4]  # another epoch
    assert [entry[:2] for entry in laid_out[:4]] == [("a", 4), ("b", 4), ("c", 4), ("x", 4)]
    assert [entry[2] for entry in laid_out[:4]] == [True, device == "cpu", device == "cpu", True]


def test_a_step_that_is_repeated_with_less_at_once_gets_batches_of_that_size():
    with BatchesAhead(lambda examples, size: [examples, size], "cuda") as ahead:
        assert ahead.of_step("abc", 0, 4) == ["a", 4]
        assert ahead.of_step("abc", 0, 2) == ["a", 2]
        assert ahead.of_step("abc", 1, 2) == ["b", 2]


def test_what_goes_wrong_early_is_raised_at_its_own_step():
    def lay_out(examples, size):
        if examples == "b":
            raise ValueError("a bad example")
        return [examples]

    with BatchesAhead(lay_out, "cuda") as ahead:
        assert ahead.of_step("abc", 0, 4) == ["a"]
        with pytest.raises(ValueError, match="a bad example"):
            ahead.of_step("abc", 1, 4)
