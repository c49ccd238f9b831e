"""A promised risk is kept in 95 % of cases, by bounds that equal scipy's."""

import numpy as np
import pytest
from scipy import stats

from headstart.metrics import risk
from headstart.metrics.abstention import risk_coverage_curve


@pytest.mark.parametrize(("errors", "answers"), [(0, 1), (0, 59), (3, 40), (10, 200), (39, 40), (40, 40)])
def test_the_bound_is_the_quantile_of_the_beta_distribution(errors, answers):
    reference = stats.beta.ppf(0.95, errors + 1, answers - errors) if errors < answers else 1.0
    assert risk.upper_bound(errors, answers, 0.95) == pytest.approx(reference, abs=1e-12)
    exact = stats.binomtest(errors, answers).proportion_ci(0.95, method="exact")
    assert risk.exact_interval(errors, answers) == pytest.approx((exact.low, exact.high), abs=1e-9)


@pytest.mark.parametrize("promised", [0.01, 0.05, 0.1, 0.3])
def test_the_fewest_answers_that_promise_a_risk_without_an_error(promised):
    fewest = risk.fewest_answers(promised)
    assert risk.upper_bound(0, fewest, 0.95) <= promised < risk.upper_bound(0, fewest - 1, 0.95)


def test_five_per_cent_takes_59_rows():
    assert risk.fewest_answers(0.05) == 59
    confidences = np.linspace(0.5, 0.9, 59)
    promised = risk.promised_threshold(confidences, np.zeros(59, dtype=bool), 0.05)
    assert promised is not None and (promised.answers, promised.errors) == (59, 0)
    assert risk.promised_threshold(confidences[:58], np.zeros(58, dtype=bool), 0.05) is None


def test_the_threshold_lies_between_the_last_answer_and_the_next():
    confidences = np.concatenate([np.linspace(0.8, 0.99, 300), np.linspace(0.1, 0.4, 300)])
    wrong = confidences < 0.5
    promised = risk.promised_threshold(confidences, wrong, 0.05)
    assert promised is not None and promised.errors / promised.answers <= 0.05
    ordered = np.sort(confidences)[::-1]
    assert promised.threshold == pytest.approx((ordered[promised.answers - 1] + ordered[promised.answers]) / 2)
    assert (confidences >= promised.threshold).sum() == promised.answers


def test_answers_of_equal_confidence_are_given_together():
    confidences = np.concatenate([np.full(100, 0.9), np.full(100, 0.5)])
    promised = risk.promised_threshold(confidences, np.zeros(200, dtype=bool), 0.05)
    assert promised is not None and promised.answers == 200
    promised = risk.promised_threshold(confidences, confidences < 0.6, 0.05)
    assert promised is not None and promised.answers == 100 and 0.5 < promised.threshold < 0.9


def test_no_rows_and_all_wrong_promise_nothing():
    assert risk.promised_threshold(np.array([]), np.array([], dtype=bool), 0.05) is None
    assert risk.promised_threshold(np.linspace(0, 1, 500), np.ones(500, dtype=bool), 0.05) is None


@pytest.mark.parametrize(("rows", "difficulty"), [(100, 4), (300, 2), (300, 0.5), (1000, 1)])
def test_the_promise_holds_in_95_per_cent_of_cases(rows, difficulty):
    """Confidences are right on average; the risk of a threshold among all that may come is known to a 400th."""
    rng = np.random.default_rng(7)
    def draw(count):
        confidences = 1 / (1 + np.exp(-rng.normal(difficulty, 2, count)))
        return confidences, confidences if difficulty >= 1 else confidences**1.5  # the last: too sure
    everything, chances = draw(160_000)
    broken = 0
    for _ in range(300):
        confidences, right_chances = draw(rows)
        promised = risk.promised_threshold(confidences, rng.random(rows) > right_chances, 0.1)
        if promised is not None:
            broken += (1 - chances[everything >= promised.threshold]).mean() > 0.1
    assert broken <= 300 * 0.05 + 2 * np.sqrt(300 * 0.05 * 0.95)


def test_the_promise_holds_where_confidence_says_nothing():
    """The worst case: every threshold has just more than the promised risk, so any at all breaks the promise."""
    rng = np.random.default_rng(1)
    broken = sum(risk.promised_threshold(rng.random(400), rng.random(400) < 0.051, 0.05) is not None
                 for _ in range(600))
    assert broken <= 600 * 0.05 + 2 * np.sqrt(600 * 0.05 * 0.95)


def test_the_curve_equals_a_plain_loop():
    rng = np.random.default_rng(2)
    confidences, right = rng.integers(0, 20, 200) / 20, rng.random(200) < 0.7
    curve = risk_coverage_curve(confidences.tolist(), right.tolist())
    for threshold, coverage, curve_risk in zip(curve.thresholds, curve.coverage, curve.risk, strict=True):
        answers = [is_right for value, is_right in zip(confidences, right, strict=True) if value >= threshold]
        assert coverage == pytest.approx(len(answers) / 200)
        assert curve_risk == pytest.approx(answers.count(False) / len(answers))
