"""Risk over coverage, its area, and thresholds: values worked out by hand."""

import math

import pytest

from headstart.metrics.abstention import (
    apply_threshold,
    figure,
    oracle_area,
    point_at_coverage,
    point_at_risk,
    risk_coverage_curve,
    wilson_high,
)
from headstart.reports.figures import render

SURE = [0.9, 0.8, 0.7, 0.6, 0.5]
RIGHT = [True, True, False, True, False]


def test_the_curve_is_worked_out_by_hand():
    risk_curve = risk_coverage_curve(SURE, RIGHT)
    assert risk_curve.thresholds.tolist() == SURE and risk_curve.coverage.tolist() == pytest.approx(
        [0.2, 0.4, 0.6, 0.8, 1.0])
    assert risk_curve.risk.tolist() == pytest.approx([0, 0, 1 / 3, 1 / 4, 2 / 5])
    assert risk_curve.area == pytest.approx((0 + 0 + 1 / 3 + 1 / 4 + 2 / 5) / 5)


def test_the_order_of_the_rows_changes_nothing():
    order = [3, 0, 4, 2, 1]
    shuffled = risk_coverage_curve([SURE[index] for index in order], [RIGHT[index] for index in order])
    assert shuffled.risk.tolist() == risk_coverage_curve(
        SURE, RIGHT).risk.tolist() and shuffled.area == risk_coverage_curve(SURE, RIGHT).area


def test_equal_confidences_go_together():
    risk_curve = risk_coverage_curve([0.9, 0.5, 0.5], [True, False, True])
    assert risk_curve.thresholds.tolist() == [0.9, 0.5] and risk_curve.risk.tolist() == pytest.approx([0, 1 / 3])
    assert risk_curve.area == pytest.approx((0 + 0.5 / 2 + 1 / 3) / 3)
    assert risk_coverage_curve([0.5, 0.5, 0.9], [True, False, True]).area == risk_curve.area


def test_thresholds_for_a_coverage_and_for_a_risk():
    risk_curve = risk_coverage_curve(SURE, RIGHT)
    half = point_at_coverage(risk_curve, 0.5)
    assert (half.threshold, half.coverage, half.risk, half.count) == (0.6, pytest.approx(0.8), pytest.approx(0.25), 4)
    assert point_at_coverage(risk_curve, 0.0).threshold == 0.8  # as low a risk as 0.9 has, and more answers
    assert point_at_coverage(risk_curve, 1.0).threshold == 0.5
    safe = point_at_risk(risk_curve, 0.3)
    assert safe is not None and safe.threshold == 0.6 and safe.risk_high > safe.risk
    assert point_at_risk(risk_curve, 0.0).threshold == 0.8
    assert point_at_risk(risk_coverage_curve([0.9, 0.1], [False, True]), 0.2) is None


def test_a_threshold_on_other_answers():
    assert apply_threshold(0.6, [0.7, 0.6, 0.1], [True, False, True]) == {"coverage": pytest.approx(2 / 3), "risk": 0.5}
    assert math.isnan(apply_threshold(2.0, [0.7], [True])["risk"])


def test_the_best_area_is_that_of_right_before_wrong():
    assert oracle_area(RIGHT) == pytest.approx((0 + 0 + 0 + 1 / 4 + 2 / 5) / 5)
    assert oracle_area([True, True]) == 0 and oracle_area([False, False]) == 1
    assert oracle_area(RIGHT) <= risk_coverage_curve(SURE, RIGHT).area


def test_the_upper_bound_is_wilsons():
    assert wilson_high(0.0, 10) == pytest.approx(0.2775, abs=1e-4)  # Wilson 1927: z²/(n+z²)
    assert wilson_high(0.1, 100) == pytest.approx(0.1744, abs=1e-4)


@pytest.mark.parametrize(("sure", "right"), [([], []), ([0.5], [True, False]), ([math.nan], [True])])
def test_what_cannot_be_is_refused(sure, right):
    with pytest.raises(ValueError, match="expected"):
        risk_coverage_curve(sure, right)


def test_the_figure_renders():
    risk_curve = risk_coverage_curve(SURE, RIGHT)
    rendered = figure({"cosine": risk_curve, "BM25": risk_coverage_curve(SURE[::-1], RIGHT)},
                      point=point_at_coverage(risk_curve, 0.5))
    assert render(rendered).startswith("<figure") and "0.600" in rendered.caption
