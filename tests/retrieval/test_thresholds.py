"""Risk over coverage, its area, and thresholds: values worked out by hand."""

import math

import pytest

from headstart.metrics.abstention import applied, at_coverage, at_risk, best_area, curve, figure, wilson_high
from headstart.reports.figures import render

SURE = [0.9, 0.8, 0.7, 0.6, 0.5]
RIGHT = [True, True, False, True, False]


def test_the_curve_is_worked_out_by_hand():
    held = curve(SURE, RIGHT)
    assert held.thresholds.tolist() == SURE and held.coverage.tolist() == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert held.risk.tolist() == pytest.approx([0, 0, 1 / 3, 1 / 4, 2 / 5])
    assert held.area == pytest.approx((0 + 0 + 1 / 3 + 1 / 4 + 2 / 5) / 5)


def test_the_order_of_the_rows_changes_nothing():
    places = [3, 0, 4, 2, 1]
    mixed = curve([SURE[place] for place in places], [RIGHT[place] for place in places])
    assert mixed.risk.tolist() == curve(SURE, RIGHT).risk.tolist() and mixed.area == curve(SURE, RIGHT).area


def test_equal_confidences_go_together():
    held = curve([0.9, 0.5, 0.5], [True, False, True])
    assert held.thresholds.tolist() == [0.9, 0.5] and held.risk.tolist() == pytest.approx([0, 1 / 3])
    assert held.area == pytest.approx((0 + 0.5 / 2 + 1 / 3) / 3)
    assert curve([0.5, 0.5, 0.9], [True, False, True]).area == held.area


def test_thresholds_for_a_coverage_and_for_a_risk():
    held = curve(SURE, RIGHT)
    half = at_coverage(held, 0.5)
    assert (half.threshold, half.coverage, half.risk, half.count) == (0.6, pytest.approx(0.8), pytest.approx(0.25), 4)
    assert at_coverage(held, 0.0).threshold == 0.8  # as low a risk as 0.9 has, and more answers
    assert at_coverage(held, 1.0).threshold == 0.5
    safe = at_risk(held, 0.3)
    assert safe is not None and safe.threshold == 0.6 and safe.risk_high > safe.risk
    assert at_risk(held, 0.0).threshold == 0.8
    assert at_risk(curve([0.9, 0.1], [False, True]), 0.2) is None


def test_a_threshold_on_other_answers():
    assert applied(0.6, [0.7, 0.6, 0.1], [True, False, True]) == {"coverage": pytest.approx(2 / 3), "risk": 0.5}
    assert math.isnan(applied(2.0, [0.7], [True])["risk"])


def test_the_best_area_is_that_of_right_before_wrong():
    assert best_area(RIGHT) == pytest.approx((0 + 0 + 0 + 1 / 4 + 2 / 5) / 5)
    assert best_area([True, True]) == 0 and best_area([False, False]) == 1
    assert best_area(RIGHT) <= curve(SURE, RIGHT).area


def test_the_upper_bound_is_wilsons():
    assert wilson_high(0.0, 10) == pytest.approx(0.2775, abs=1e-4)  # Wilson 1927: z²/(n+z²)
    assert wilson_high(0.1, 100) == pytest.approx(0.1744, abs=1e-4)


@pytest.mark.parametrize(("sure", "right"), [([], []), ([0.5], [True, False]), ([math.nan], [True])])
def test_what_cannot_be_is_refused(sure, right):
    with pytest.raises(ValueError, match="expected"):
        curve(sure, right)


def test_the_figure_renders():
    held = curve(SURE, RIGHT)
    made = figure({"cosine": held, "BM25": curve(SURE[::-1], RIGHT)}, chosen=at_coverage(held, 0.5))
    assert render(made).startswith("<figure") and "0.600" in made.caption
