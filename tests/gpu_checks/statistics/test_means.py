"""The mean test keeps both of its rates, at any number of samples; its mutants do not."""

import math

import numpy as np
import pytest
from scipy.stats import norm

from gpu_checks.statistics import Law, contrast, mean_detectable, mean_samples, mean_test
from gpu_checks.statistics.bennett import least_samples, log_tail, radius
from tests.gpu_checks.statistics.support import RATE, RUNS, Floats, coefficients, least, most, pair, tokens

RARE = np.log(np.array([0.99, 0.01]))
"""A skewed law of two values, which a normal approximation gets wrong."""


def nulls(name: str) -> tuple[Law, Floats]:
    """A law, and RUNS rows of 100 samples of it."""
    rng = np.random.default_rng(0)
    if name == "rare":
        values, log_p = np.array([0.0, 1.0]), RARE
    else:
        log_p, b = pair(64, 0.3)
        kl, k3 = coefficients(log_p, b)
        told = contrast(log_p, kl, k3)
        values = kl * (told.direction - np.exp(log_p) @ told.direction)
    return Law.of(log_p, values), values[tokens(rng, log_p, (RUNS, 100))]


def alarms(samples: Floats, law: Law, rate: float = RATE, slack: float = 0.0) -> int:
    return sum(mean_test(row, law, rate, slack).alarm for row in samples)


@pytest.mark.parametrize("name", ["rare", "reverse KL"])
def test_false_alarms_keep_to_the_rate(name: str) -> None:
    law, samples = nulls(name)
    assert alarms(samples, law) <= most(RUNS, RATE)


def test_a_wrong_variance_exceeds_the_rate() -> None:
    law, samples = nulls("reverse KL")
    mutant = Law(law.mean, law.variance / 4, law.lower, law.upper)
    assert alarms(samples, mutant) > most(RUNS, RATE)


def test_a_normal_radius_exceeds_the_rate() -> None:
    law, samples = nulls("rare")
    allowed = norm.isf(RATE / 2) * math.sqrt(law.variance / 100)
    assert np.count_nonzero(abs(samples.mean(axis=1) - law.mean) > allowed) > most(RUNS, RATE)


def test_rounding_within_the_slack_raises_no_alarm() -> None:
    law, samples = nulls("reverse KL")
    slack = law.width / 10
    assert alarms(samples + slack, law) > most(RUNS, RATE)
    assert alarms(samples + slack, law, slack=slack) <= most(RUNS, RATE)


def test_the_promised_samples_find_the_planted_law() -> None:
    a, b = pair(64, 0.3)
    kl, k3 = coefficients(a, b)
    told = contrast(a, kl, k3)
    # over a common range: a sample outside would give the planted law away, whatever its mean
    lower, upper = min(told.claimed.lower, told.planted.lower), max(told.claimed.upper, told.planted.upper)
    claimed = Law(told.claimed.mean, told.claimed.variance, lower, upper)
    miss, runs = 0.05, 1000
    n = mean_samples(claimed, told.planted, RATE, miss)
    values = k3 * (told.direction - np.exp(a) @ told.direction)
    planted = values[tokens(np.random.default_rng(1), a, (runs, n))]
    assert alarms(planted, claimed) >= least(runs, 1 - miss)
    assert alarms(planted[:, : n // 4], claimed) < least(runs, 1 - miss)  # the promise is no idle one


@pytest.mark.parametrize("sign", [1, -1])
def test_the_detectable_discrepancy_is_found(sign: int) -> None:
    """By the alternative that varies most: all of its mass at the ends of the range."""
    law, n, miss, runs = Law(0.3, 0.04, 0.0, 1.0), 300, 0.05, 1000
    shift = mean_detectable(law, n, RATE, miss)
    planted = (np.random.default_rng(2).random((runs, n)) < 0.3 + sign * shift).astype(float)
    assert alarms(planted, law) >= least(runs, 1 - miss)
    assert shift < 0.3
    assert mean_detectable(law, n, RATE, miss, variance=0.04) < shift


def test_every_larger_discrepancy_is_found_by_as_many_samples() -> None:
    law, n = Law(0.3, 0.04, 0.0, 1.0), 400
    least_shift = mean_detectable(law, n, 1e-6, 1e-3)
    for mean in np.linspace(0.3 + least_shift, 1, 40).tolist():
        planted = Law(mean, (1 - mean) * mean, 0.0, 1.0)
        assert mean_samples(law, planted, 1e-6, 1e-3) <= n
    assert mean_samples(law, Law(0.3 + 0.98 * least_shift, 0.2496, 0.0, 1.0), 1e-6, 1e-3) > n


def test_too_few_samples_detect_nothing() -> None:
    assert mean_detectable(Law(0.5, 0.25, 0.0, 1.0), 1, 1e-6, 1e-3) == math.inf
    assert mean_detectable(Law(0.5, 0.25, 0.0, 1.0), 10**6, 1e-6, 1e-3, slack=0.3) == math.inf


def test_a_sample_outside_the_claimed_range_alarms() -> None:
    law = Law(0.5, 0.25, 0.0, 1.0)
    out = mean_test(np.array([0.0, 1.0, 1.1]), law, 1e-6)
    assert out.alarm
    assert "outside the claimed range" in out.reason
    assert not mean_test(np.array([0.0, 1.0, 1.1]), law, 1e-6, slack=0.2).alarm
    with pytest.raises(AssertionError, match=r"0\.1 outside"):
        out.require()
    mean_test(np.array([0.0, 1.0]), law, 1e-6).require()


def test_bennett_at_known_points() -> None:
    # v = b = n = 1: exp(-h(t)), h(1) = 2 log 2 - 1
    assert log_tail(1.0, 1, 1.0, 1.0) == pytest.approx(-(2 * math.log(2) - 1))
    assert log_tail(1e-6, 1, 1.0, 1.0) == pytest.approx(-0.5e-12, rel=1e-6)
    assert log_tail(0.0, 1, 1.0, 1.0) == 0
    assert log_tail(2.0, 1, 1.0, 1.0) == -math.inf
    t = radius(1000, 0.2, 3.0, 1e-6)
    assert log_tail(t, 1000, 0.2, 3.0) == pytest.approx(math.log(1e-6))
    assert radius(1, 0.2, 3.0, 1e-6) == 3.0
    assert radius(5, 0.0, 3.0, 1e-6) == 0.0


@pytest.mark.parametrize("sign", [1, -1])
def test_each_side_has_half_of_the_rate(sign: int) -> None:
    law = Law(0.3, 0.04, 0.0, 1.0)
    out = mean_test(np.full(500, 0.3 + 0.1 * sign), law, 1e-4, slack=0.01)
    reach = 0.7 if sign > 0 else 0.3
    assert out.statistic == pytest.approx(0.1)
    assert log_tail(out.threshold - 0.01, 500, 0.04, reach) == pytest.approx(math.log(1e-4 / 2))


def test_the_least_count_is_found() -> None:
    assert [least_samples(lambda n, k=k: n >= k) for k in (1, 2, 3, 1000)] == [1, 2, 3, 1000]
    with pytest.raises(ValueError, match="no number of samples"):
        least_samples(lambda n: False)


def test_wrong_arguments_are_refused() -> None:
    law, x = Law(0.5, 0.25, 0.0, 1.0), np.array([0.0, 1.0])
    for rate in (0.0, 1.0, -1.0, np.nan):
        with pytest.raises(ValueError, match="false-alarm rate"):
            mean_test(x, law, rate)
        with pytest.raises(ValueError, match="miss rate"):
            mean_samples(law, law, 0.1, rate)
        with pytest.raises(ValueError, match="miss rate"):
            mean_detectable(law, 5, 0.1, rate)
    with pytest.raises(ValueError, match="1 of 2 samples are NaN"):
        mean_test(np.array([0.0, np.nan]), law, 0.1)
    with pytest.raises(ValueError, match="at least 1"):
        mean_test(x[:0], law, 0.1)
    with pytest.raises(ValueError, match="one row"):
        mean_test(x[None], law, 0.1)
    with pytest.raises(ValueError, match="slack"):
        mean_test(x, law, 0.1, slack=-1)
    with pytest.raises(ValueError, match="no number of samples"):
        mean_samples(law, law, 0.1, 0.1)
    with pytest.raises(ValueError, match="draw more"):
        mean_detectable(law, 0, 0.1, 0.1)
