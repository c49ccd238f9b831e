"""Scores of rankings worked by hand, and scikit-learn's where it has them."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import ndcg_score

from headstart.metrics import ranking
from headstart.search.fusion import reciprocal_rank_fusion


def test_values_worked_by_hand():
    ranked, gains = [["b", "a", "d", "c"]], [{"a": 3, "c": 1, "e": 2, "b": 0}]
    # places: b 0, a 3, d 0, c 1: 3/log2(3) + 1/log2(5); best order 3, 2, 1: 3 + 2/log2(3) + 1/2.
    expected = (3 / math.log2(3) + 1 / math.log2(5)) / (3 + 2 / math.log2(3) + 1 / 2)
    assert ranking.ndcg(ranked, gains, k=10)[0] == pytest.approx(expected)
    assert ranking.ndcg(ranked, gains, k=2)[0] == pytest.approx((3 / math.log2(3)) / (3 + 2 / math.log2(3)))
    assert ranking.recall(ranked, gains, k=10)[0] == pytest.approx(2 / 3) and ranking.recall(ranked, gains, k=3)[
        0] == pytest.approx(1 / 3)
    assert ranking.reciprocal_rank(ranked, gains)[0] == 0.5 and ranking.reciprocal_rank(ranked, gains, k=1)[0] == 0


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 1000)), min_size=2, max_size=15,
                unique_by=lambda row: row[1]), st.integers(1, 12))
def test_ndcg_equals_scikit_learns(rows, k):
    gains, values = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    value = ranking.ndcg([np.argsort(-values).tolist()], [dict(enumerate(gains.tolist()))], k=k)[0]
    if not gains.any():
        assert math.isnan(value)
    else:
        assert value == pytest.approx(ndcg_score(gains[None], values[None], k=k), abs=1e-12)


def test_a_document_counts_once():
    twice, single = [["x", "a", "a", "b"]], [["x", "a", "b"]]
    gains = [{"a": 1, "b": 1}]
    assert ranking.ndcg(twice, gains, k=3)[0] == ranking.ndcg(single, gains, k=3)[0] < 1
    assert ranking.recall(twice, gains, k=3)[0] == 1


def test_queries_without_a_relevant_document_take_no_part():
    measures = ranking.per_query([["a"], ["a"], []], [{"a": 1}, {}, {"b": 1}])
    means = ranking.scores(measures, np.array([[1.0, 1.0, 1.0], [0.0, 1.0, 0.0], [3.0, 0.0, 1.0]]))
    for name in ranking.DEFINITIONS:
        assert means[name] == pytest.approx([0.5, math.nan, 0.75], nan_ok=True)


def test_fusion_worked_by_hand():
    # b: 1/62 + 1/61; a: 1/61; c: 1/62; the second ranking lists b first, c second.
    fused = reciprocal_rank_fusion([["a", "b"], ["b", "c"]])
    assert [name for name, _ in fused] == ["b", "a", "c"]
    assert [value for _, value in fused] == pytest.approx([1 / 62 + 1 / 61, 1 / 61, 1 / 62])


def test_fusion_of_equals_keeps_a_fixed_order():
    assert [name for name, _ in reciprocal_rank_fusion([["x", "y"], ["y", "x"]])] == ["x", "y"]
    assert reciprocal_rank_fusion([[], []]) == []
    assert [name for name, _ in reciprocal_rank_fusion([["a", "a", "b"]])] == ["a", "b"]
