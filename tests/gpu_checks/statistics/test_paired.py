"""The paired test keeps both of its rates where the estimator is unknown; a radius without the range does not."""

import math

import numpy as np
import pytest
from scipy.stats import norm

from gpu_checks.statistics import Law, contrast, paired_detectable, paired_samples, paired_test, projections
from tests.gpu_checks.statistics.support import RATE, RUNS, Floats, coefficients, least, most, pair, tokens


def alarms(samples: Floats, control: Floats, law: Law, slack: float = 0.0) -> int:
    lower, upper = min(law.lower, 0.0), max(law.upper, 0.0)
    rows = zip(samples, control, strict=True)
    return sum(paired_test(s, c, lower, upper, RATE, slack).alarm for s, c in rows)


def test_false_alarms_keep_to_the_rate_for_another_unbiased_estimator() -> None:
    """The kernel's coefficient has a constant baseline, which the claim's has not: one expected gradient."""
    a, b = pair(64, 0.3)
    kl, k3 = coefficients(a, b)
    u = contrast(a, kl, k3).direction
    drawn = tokens(np.random.default_rng(0), a, (RUNS, 200))
    kernel, claim = projections(a, kl + 1, u), projections(a, kl, u)
    law = Law.of(a, kernel - claim)
    assert abs(law.mean) < 1e-16
    assert alarms(kernel[drawn], claim[drawn], law) <= most(RUNS, RATE)


@pytest.mark.parametrize("slack", [0.0, 0.05])
def test_false_alarms_keep_to_the_rate_for_a_rare_difference(slack: float) -> None:
    drawn = (np.random.default_rng(1).random((RUNS, 100)) < 0.01).astype(float)
    law = Law(0.0, 0.0099, -0.01, 0.99)
    assert alarms(drawn + slack, np.full_like(drawn, 0.01), law, slack) <= most(RUNS, RATE)


def test_a_radius_without_the_range_exceeds_the_rate() -> None:
    drawn = (np.random.default_rng(1).random((RUNS, 100)) < 0.01).astype(float)
    allowed = norm.isf(RATE / 2) * drawn.std(axis=1, ddof=1) / 10
    assert np.count_nonzero(abs(drawn.mean(axis=1) - 0.01) > allowed) > most(RUNS, RATE)
    logs = drawn.std(axis=1, ddof=1) * math.sqrt(2 * math.log(3 / RATE) / 100)
    assert np.count_nonzero(abs(drawn.mean(axis=1) - 0.01) > logs) > most(RUNS, RATE)


def test_the_promised_samples_find_the_planted_law() -> None:
    a, b = pair(64, 0.3)
    kl, k3 = coefficients(a, b)
    told = contrast(a, kl, k3)
    miss, runs = 0.05, 1000
    lower, upper = min(told.paired.lower, 0.0), max(told.paired.upper, 0.0)
    n = paired_samples(told.paired, lower, upper, RATE, miss)
    drawn = tokens(np.random.default_rng(2), a, (runs, n))
    kernel, claim = projections(a, k3, told.direction), projections(a, kl, told.direction)
    assert alarms(kernel[drawn], claim[drawn], told.paired) >= least(runs, 1 - miss)
    few = drawn[:, : n // 8]
    assert alarms(kernel[few], claim[few], told.paired) < least(runs, 1 - miss)


@pytest.mark.parametrize("sign", [1, -1])
def test_the_detectable_discrepancy_is_found(sign: int) -> None:
    n, miss, runs = 500, 0.05, 1000
    shift = paired_detectable(-1.0, 1.0, n, RATE, miss)
    assert shift < 0.5
    drawn = np.where(np.random.default_rng(3).random((runs, n)) < (1 + sign * shift) / 2, 1.0, -1.0)
    assert alarms(drawn, np.zeros_like(drawn), Law(0.0, 1.0, -1.0, 1.0)) >= least(runs, 1 - miss)
    assert paired_detectable(-1.0, 1.0, n, RATE, miss, variance=0.1) < shift
    assert paired_detectable(-1.0, 1.0, n, RATE, miss, slack=0.1) > shift + 0.2


def test_the_radius_is_that_of_the_theorem() -> None:
    x = np.tile([0.5, -0.5], 50)
    out = paired_test(x, np.zeros(100), -2.0, 1.0, 1e-3)
    log = math.log(3 / 1e-3)
    assert out.threshold == pytest.approx(x.std(ddof=1) * math.sqrt(2 * log / 100) + 7 * 3 * log / (3 * 99))


def test_the_slack_widens_the_mean_and_the_deviation() -> None:
    x = np.tile([0.5, -0.5], 50)
    plain, wide = (paired_test(x, np.zeros(100), -2.0, 1.0, 1e-3, slack) for slack in (0.0, 0.1))
    deviation = 0.1 * math.sqrt(100 / 99) * math.sqrt(2 * math.log(3 / 1e-3) / 100)
    assert wide.threshold == pytest.approx(plain.threshold + 0.1 + deviation)


def test_a_difference_outside_the_range_alarms() -> None:
    out = paired_test(np.array([0.0, 1.0]), np.array([0.0, 0.4]), -0.5, 0.5, 1e-6)
    assert out.alarm
    assert "0.1 outside" in out.reason


def test_wrong_arguments_are_refused() -> None:
    x = np.array([0.0, 0.1])
    for rate in (0.0, 1.0):
        with pytest.raises(ValueError, match="false-alarm rate"):
            paired_test(x, x, -1, 1, rate)
        with pytest.raises(ValueError, match="miss rate"):
            paired_detectable(-1, 1, 10, 0.1, rate)
        with pytest.raises(ValueError, match="miss rate"):
            paired_samples(Law(0.1, 0.1, -1, 1), -1, 1, 0.1, rate)
    with pytest.raises(ValueError, match="at least 2"):
        paired_test(x[:1], x[:1], -1, 1, 0.1)
    with pytest.raises(ValueError, match="same tokens"):
        paired_test(x, np.zeros(3), -1, 1, 0.1)
    with pytest.raises(ValueError, match="NaN"):
        paired_test(x, np.array([np.nan, 0.0]), -1, 1, 0.1)
    for lower, upper in ((0.5, 1.0), (-1.0, np.inf), (np.nan, 1.0)):
        with pytest.raises(ValueError, match="hold 0"):
            paired_test(x, x, lower, upper, 0.1)
    with pytest.raises(ValueError, match="no number of samples"):
        paired_samples(Law(0.0, 0.1, -1, 1), -1, 1, 0.1, 0.1)
