"""A temperature is the one that scipy finds, changes no answer, and is used where it helps beyond chance."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from headstart.metrics import calibration, classification


def drawn_rows(rows: int, scale: float, classes: int = 4, seed: int = 0):
    """Log-probabilities that are too sure by `scale`, (M, C), and classes drawn by the right ones, (M,)."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(rows, classes)) * 2
    right = np.exp(log_softmax(logits, axis=1))
    gold = np.array([rng.choice(classes, p=probabilities) for probabilities in right])
    return log_softmax(logits * scale, axis=1), gold


def losses_of(log_probabilities, gold):
    def losses(temperature):
        changed = calibration.tempered_log_probabilities(log_probabilities, temperature)
        return -changed[np.arange(len(gold)), gold]
    return losses


@pytest.mark.parametrize("scale", [0.4, 1.0, 2.5])
def test_the_temperature_is_the_one_that_scipy_finds(scale):
    log_probabilities, gold = drawn_rows(600, scale)
    reference = minimize_scalar(
        lambda log_temperature: -log_softmax(log_probabilities / np.exp(log_temperature), axis=1)[
            np.arange(len(gold)), gold].mean(), bounds=(-3, 3), method="bounded", options={"xatol": 1e-9})
    fit = calibration.fit_temperature(losses_of(log_probabilities, gold), np.arange(600), seed=0)
    assert fit.temperature == pytest.approx(np.exp(reference.x), rel=1e-5)
    assert fit.temperature == pytest.approx(scale, rel=0.15)


def test_a_temperature_changes_probabilities_as_dividing_the_logits_does_and_no_answer():
    logits = np.random.default_rng(1).normal(size=(50, 7)) * 5
    for temperature in (0.1, 0.7, 3.0, 15.0):
        changed = calibration.tempered_log_probabilities(log_softmax(logits, axis=1), temperature)
        np.testing.assert_allclose(changed, log_softmax(logits / temperature, axis=1), atol=1e-10)
        assert (changed.argmax(axis=1) == logits.argmax(axis=1)).all()


def test_a_probability_of_zero_stays_zero():
    with np.errstate(divide="ignore"):
        log_probabilities = np.log(np.array([[1.0, 0.0], [0.25, 0.75]]))
    np.testing.assert_allclose(np.exp(calibration.tempered_log_probabilities(log_probabilities, 2.0))[0], [1, 0])


def test_it_helps_where_the_model_was_too_sure_and_not_where_it_was_right():
    too_sure = calibration.fit_temperature(losses_of(*drawn_rows(600, 2.5)), np.arange(600), seed=0)
    assert too_sure.helps and too_sure.gain_low > 0
    calibrated = calibration.fit_temperature(losses_of(*drawn_rows(600, 1.0)), np.arange(600), seed=0)
    assert not calibrated.helps and "chance" in calibrated.reason


def test_it_rarely_claims_to_help_a_model_that_is_calibrated():
    claims = [calibration.fit_temperature(losses_of(*drawn_rows(120, 1.0, seed=seed)), np.arange(120), seed).helps
              for seed in range(40)]
    assert sum(claims) <= 4


def test_the_gain_is_measured_on_rows_that_had_no_part_in_it():
    log_probabilities, gold = drawn_rows(200, 1.3)
    losses = losses_of(log_probabilities, gold)
    fit = calibration.fit_temperature(losses, np.arange(200), seed=3)
    folds, gains = np.random.default_rng(3).permutation(200) % 5, []
    for fold in range(5):
        rest = folds != fold
        reference = minimize_scalar(lambda t, rest=rest: losses(np.exp(t))[rest].mean(), bounds=(-3, 3),
                                    method="bounded", options={"xatol": 1e-9})
        gains += list((losses(1.0) - losses(np.exp(reference.x)))[~rest])
    assert fit.gain == pytest.approx(np.mean(gains), abs=1e-5)
    assert fit.gain_high - fit.gain == pytest.approx(1.96 * np.std(gains, ddof=1) / np.sqrt(200), rel=1e-2)


def test_rows_without_an_error_have_no_best_temperature():
    log_probabilities = log_softmax(np.array([[2.0, 0.0]] * 50), axis=1)
    fit = calibration.fit_temperature(losses_of(log_probabilities, np.zeros(50, dtype=int)), np.arange(50), seed=0)
    assert not fit.helps and "no best temperature" in fit.reason


def test_few_rows_and_few_groups_are_too_few():
    rows = drawn_rows(200, 2.5)
    assert "12 rows are too few" in calibration.fit_temperature(losses_of(*drawn_rows(12, 2.5)), np.arange(12),
                                                                seed=0).reason
    assert not calibration.fit_temperature(losses_of(*rows), np.arange(200) % 4, seed=0).helps


def test_calibration_scores_equal_those_of_classification():
    log_probabilities, gold = drawn_rows(300, 1.5)
    probabilities = np.exp(log_probabilities)
    predicted = probabilities.argmax(axis=1)
    weights = np.random.default_rng(0).integers(0, 3, size=(5, 300)).astype(float)
    scores = calibration.calibration_scores(-log_probabilities[np.arange(300), gold], probabilities.max(axis=1),
                                            predicted == gold, weights)
    reference = classification.scores(gold, predicted, probabilities, weights)
    for name in scores:
        np.testing.assert_allclose(scores[name], reference[name], atol=1e-12)
