"""The sequential test keeps its false-alarm rate whenever one stops; looking again and again at another does not."""

import math

import numpy as np
import pytest
from scipy.stats import norm

from gpu_checks.statistics import (
    Claim,
    Law,
    SequentialTest,
    contrast,
    log_capital,
    projections,
    sequential_detectable,
    sequential_samples,
)
from gpu_checks.statistics.sequential import BETS
from tests.gpu_checks.statistics.support import RATE, RUNS, Floats, coefficients, least, most, pair, tokens


def fair() -> Floats:
    """RUNS runs of 300 samples of +1 and -1: the widest law of its range."""
    return np.where(np.random.default_rng(0).random((RUNS, 300)) < 0.5, 1.0, -1.0)


def alarms(samples: Floats, claim: Claim) -> int:
    return int(np.count_nonzero(log_capital(samples, claim).max(axis=1) >= -math.log(RATE)))


def test_false_alarms_at_any_time_keep_to_the_rate() -> None:
    assert alarms(fair(), Claim(0.0, -1.0, 1.0)) <= most(RUNS, RATE)


def test_false_alarms_at_any_time_keep_to_the_rate_for_a_rare_value() -> None:
    rare = (np.random.default_rng(1).random((RUNS, 300)) < 0.02).astype(float)
    assert alarms(rare, Claim(0.02, 0.0, 1.0)) <= most(RUNS, RATE)


def test_false_alarms_at_any_time_keep_to_the_rate_for_a_projection() -> None:
    a, b = pair(64, 0.3)
    kl, k3 = coefficients(a, b)
    told = contrast(a, kl, k3)
    drawn = tokens(np.random.default_rng(2), a, (RUNS, 200))
    claim = Claim(told.claimed.mean, told.claimed.lower, told.claimed.upper)
    assert alarms(projections(a, kl, told.direction)[drawn], claim) <= most(RUNS, RATE)


def test_rounding_within_the_slack_raises_no_alarm() -> None:
    slack = 0.2
    samples = fair()[:2000] + slack
    assert alarms(samples, Claim(0.0, -1.0 - slack, 1.0 + slack)) > most(2000, RATE)
    assert alarms(samples, Claim(0.0, -1.0, 1.0, slack)) <= most(2000, RATE)


def test_looking_many_times_at_a_fixed_sample_test_exceeds_the_rate() -> None:
    steps = np.arange(1, 301)
    z = abs(np.cumsum(fair(), axis=1)) / np.sqrt(steps)
    assert np.count_nonzero(z[:, -1] > norm.isf(RATE / 2)) <= most(RUNS, RATE)  # one look keeps it
    assert np.count_nonzero(z[:, 9:].max(axis=1) > norm.isf(RATE / 2)) > most(RUNS, RATE)


def test_a_stake_chosen_after_the_samples_exceeds_the_rate() -> None:
    """The best stake in hindsight: its capital is at least that of any fixed one, and is no martingale."""
    x = fair()
    mean = np.cumsum(x, axis=1) / np.arange(1, 301)
    stake = np.clip(mean, -0.5, 0.5)
    heads = np.cumsum(x > 0, axis=1)
    hindsight = heads * np.log1p(stake) + (np.arange(1, 301) - heads) * np.log1p(-stake)
    assert np.count_nonzero(hindsight.max(axis=1) >= -math.log(RATE)) > most(RUNS, RATE)


def test_the_capital_is_a_martingale() -> None:
    """Over all 2^10 sequences of a fair coin its mean is 1 at each step, and it never falls below 0."""
    sequences = np.array(np.meshgrid(*[[-1.0, 1.0]] * 10)).reshape(10, -1).T
    capital = np.exp(log_capital(sequences, Claim(0.0, -1.0, 1.0)))
    assert np.allclose(capital.mean(axis=0), 1)
    assert (capital > 0).all()


def test_batches_are_their_samples_one_by_one() -> None:
    x, claim = fair()[:3], Claim(0.1, -1.0, 1.0)
    for row, path in zip(x, log_capital(x, claim), strict=True):
        whole, parts = SequentialTest(claim, RATE), SequentialTest(claim, RATE)
        out = whole.update(row)
        for start in range(0, 300, 70):
            again = parts.update(row[start : start + 70])
        assert out.samples == again.samples == 300
        assert out.statistic == pytest.approx(path.max())
        assert again.statistic == pytest.approx(path.max())
        assert out.threshold == -math.log(RATE)


def test_an_alarm_stays() -> None:
    test = SequentialTest(Claim(0.0, -1.0, 1.0), 1e-3)
    assert not test.update(np.ones(5)).alarm
    assert test.update(np.ones(60)).alarm
    assert test.update(-np.ones(60)).alarm


def test_a_sample_outside_the_claimed_range_alarms_for_good() -> None:
    test = SequentialTest(Claim(0.0, -1.0, 1.0), 1e-6)
    for x in ([3.0, -5.0], [0.0]):
        out = test.update(np.array(x))
        assert out.alarm
        assert "4 outside" in out.reason
    assert not SequentialTest(Claim(0.0, -1.0, 1.0, slack=0.5), 1e-6).update(np.array([-1.5])).alarm


def test_the_promised_samples_find_the_planted_law() -> None:
    a, b = pair(64, 0.3)
    kl, k3 = coefficients(a, b)
    told = contrast(a, kl, k3)
    lower, upper = min(told.claimed.lower, told.planted.lower), max(told.claimed.upper, told.planted.upper)
    claim = Claim(told.claimed.mean, lower, upper)
    miss, runs = 0.05, 500
    n = sequential_samples(claim, told.planted, RATE, miss)
    planted = projections(a, k3, told.direction)[tokens(np.random.default_rng(3), a, (runs, n))]
    assert alarms(planted, claim) >= least(runs, 1 - miss)
    assert alarms(planted[:, : n // 5], claim) < least(runs, 1 - miss)


@pytest.mark.parametrize("sign", [1, -1])
def test_the_detectable_discrepancy_is_found(sign: int) -> None:
    claim, n, miss, runs = Claim(0.0, -1.0, 1.0), 1000, 0.05, 500
    shift = sequential_detectable(claim, n, RATE, miss, variance=1.0)
    assert shift < 0.3
    assert sequential_samples(claim, Law(shift, 1.0, -1.0, 1.0), RATE, miss) <= n
    planted = np.where(np.random.default_rng(4).random((runs, n)) < (1 + sign * shift) / 2, 1.0, -1.0)
    assert alarms(planted, claim) >= least(runs, 1 - miss)


def test_too_few_samples_detect_nothing() -> None:
    assert sequential_detectable(Claim(0.0, -1.0, 1.0), 2, 1e-6, 1e-3, variance=1.0) == math.inf


def test_half_of_the_bets_are_on_each_side() -> None:
    stakes = Claim(0.25, 0.0, 1.0).stakes()
    assert len(stakes) == BETS
    assert (stakes.max(), stakes.min()) == (2.0, -0.5 / 0.75)


def test_wrong_arguments_are_refused() -> None:
    claim, x = Claim(0.0, -1.0, 1.0), np.zeros(3)
    for rate in (0.0, 1.0):
        with pytest.raises(ValueError, match="false-alarm rate"):
            SequentialTest(claim, rate)
        with pytest.raises(ValueError, match="miss rate"):
            sequential_samples(claim, Law(0.5, 0.1, -1, 1), 0.1, rate)
        with pytest.raises(ValueError, match="miss rate"):
            sequential_detectable(claim, 5, 0.1, rate, 1.0)
    for bad in ((1.0, -1.0, 1.0), (0.0, 0.0, 1.0), (0.0, -np.inf, 1.0), (np.nan, -1.0, 1.0)):
        with pytest.raises(ValueError, match="inside the finite range"):
            Claim(*bad)
    with pytest.raises(ValueError, match="slack"):
        Claim(0.0, -1.0, 1.0, slack=np.inf)
    with pytest.raises(ValueError, match="NaN"):
        SequentialTest(claim, 0.1).update(np.array([np.nan]))
    with pytest.raises(ValueError, match="at least 1"):
        SequentialTest(claim, 0.1).update(x[:0])
    for value in (2.0, np.nan):
        with pytest.raises(ValueError, match="no bet is defined"):
            log_capital(np.array([value]), claim)
    with pytest.raises(ValueError, match="no number of samples"):
        sequential_samples(claim, Law(0.0, 0.1, -1, 1), 0.1, 0.1)
