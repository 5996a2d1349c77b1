"""Intervals hold as often as they promise, and errors are scikit-learn's and SciPy's."""

from __future__ import annotations

import math

import numpy as np
import pytest

from property_models.learned.calibration import Conformal, coverage_curve, errors

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("count", [19, 20, 99])
@pytest.mark.parametrize("level", [0.5, 0.8, 0.9])
def test_coverage_is_what_theory_says(count: int, level: float) -> None:
    """Over fresh calibration sets, coverage is ceil((n + 1) c) / (n + 1) exactly, on average.

    The values are skewed and the spreads wrong by a factor, which must not matter.
    """
    trials, tests = 1500, 4
    held = 0
    for _ in range(trials):
        spread = RNG.uniform(0.1, 3, count + tests)
        y = spread * RNG.exponential(5.0, count + tests)
        mean = np.zeros(count + tests)
        conformal = Conformal.fit(y[:count], mean[:count], spread[:count])
        low, high = conformal.interval(mean[count:], spread[count:], level)
        held += int(((low <= y[count:]) & (y[count:] <= high)).sum())
    exact = math.ceil((count + 1) * level - 1e-9) / (count + 1)
    # the tests of a trial share their calibration set, so their variance is at most tests-fold
    deviation = math.sqrt(exact * (1 - exact) / trials)
    assert abs(held / (trials * tests) - exact) < 4 * deviation
    assert exact >= level - 1e-12


def test_factor_by_hand() -> None:
    conformal = Conformal.fit(
        np.array([1.0, -2.0, 3.0, 4.0]), np.zeros(4), np.array([1.0, 1.0, 1.0, 2.0])
    )
    np.testing.assert_array_equal(conformal.scores, [1, 2, 2, 3])
    assert conformal.factor(0.2) == 1  # the first of four
    assert conformal.factor(0.6) == 2
    assert conformal.factor(0.8) == 3
    assert conformal.factor(0.81) == math.inf  # four molecules cannot promise that much
    low, high = conformal.interval(np.array([10.0]), np.array([2.0]), 0.8)
    assert (low[0], high[0]) == (4, 16)


def test_coverage_curve_counts() -> None:
    conformal = Conformal(np.array([1.0, 2.0, 3.0]))
    y = np.array([0.5, 1.5, 2.5, 3.5])
    found = coverage_curve(conformal, y, np.zeros(4), np.ones(4), (0.25, 0.5, 0.75, 0.9))
    assert found == {"0.25": 0.25, "0.5": 0.5, "0.75": 0.75, "0.9": 1.0}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Conformal(np.ones(3)).factor(1.0), "coverage is 1.0, expected"),
        (lambda: Conformal.fit(np.ones(0), np.ones(0), np.ones(0)), "no molecules to calibrate"),
        (lambda: Conformal.fit(np.ones(2), np.ones(2), np.array([1.0, 0.0])), "spread must be"),
    ],
)
def test_bad_arguments(call: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()  # type: ignore[operator]


def test_errors_are_the_libraries() -> None:
    stats = pytest.importorskip("scipy.stats")
    metrics = pytest.importorskip("sklearn.metrics")
    for count in (2, 5, 200):
        y, predicted = RNG.normal(size=(2, count)).round(1)  # rounded: ties
        found = errors(y, predicted)
        assert found["rmse"] == pytest.approx(metrics.root_mean_squared_error(y, predicted))
        assert found["mae"] == pytest.approx(metrics.mean_absolute_error(y, predicted))
        assert found["r2"] == pytest.approx(metrics.r2_score(y, predicted))
        expected = stats.spearmanr(y, predicted).statistic
        assert found["spearman"] == pytest.approx(expected, nan_ok=True)
    same = errors(np.ones(3), np.array([1.0, 2.0, 3.0]))
    assert math.isnan(same["r2"])
    assert math.isnan(same["spearman"])
