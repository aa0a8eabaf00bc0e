"""The mean of a projected gradient against its exact target: one-sample test of known variance and range.

Under a claim that fixes the estimator ("k1 in reward"), the law of a sample's projection is known by enumeration
(`Law.of`), so Bennett's inequality gives the radius: the rates hold at every number of samples, and no normal
approximation is made. Rounding is allowed for by `slack`, a bound on the error of one sample.
"""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float
from scipy.optimize import brentq

from gpu_checks.statistics.bennett import least_samples, log_tail, radius
from gpu_checks.statistics.law import Law
from gpu_checks.statistics.outcome import Outcome, check_count, check_rate, check_samples, check_slack


def mean_test(samples: Float[np.ndarray, " sample"], claimed: Law, false_alarm: float, slack: float = 0.0) -> Outcome:
    """Test whether independent samples have the claimed law's mean; false alarms at a rate of at most `false_alarm`.

    Two-sided: Bennett (see `bennett`) with half the rate on each side. A sample outside the claimed range, by more
    than the slack, is impossible under the claim and alarms at once. Raises ValueError for a wrong rate or slack, no
    samples, or samples that are not finite.
    """
    check_rate("false-alarm", false_alarm)
    check_slack(slack)
    check_samples(samples)
    n = len(samples)
    outside = _outside(samples, claimed, slack)
    if outside is not None:
        return Outcome(True, outside, slack, n, false_alarm, f"a sample lies {outside:.3g} outside the claimed range")
    off = float(np.mean(samples, dtype=np.float64)) - claimed.mean
    allowed = _radius(claimed, n, false_alarm, upward=off > 0) + slack
    reason = f"mean is off its target {claimed.mean:.6g} by {off:.3g}, {allowed:.3g} allowed"
    return Outcome(abs(off) > allowed, abs(off), allowed, n, false_alarm, reason)


def mean_detectable(
    claimed: Law, samples: int, false_alarm: float, miss: float, slack: float = 0.0, variance: float | None = None
) -> float:
    """Return the smallest discrepancy of the mean, in its units, that `mean_test` misses at a rate of at most `miss`.

    It holds for every alternative within the claimed range (others alarm sooner) whose variance is at most `variance`;
    without one, the largest that the range admits, (upper - mean)(mean - lower) (Bhatia and Davis, Amer. Math.
    Monthly 107, 2000). inf where no mean within the range is detected. Both signs of a discrepancy are detected.
    """
    check_rate("false-alarm", false_alarm)
    check_rate("miss", miss)
    check_slack(slack)
    check_count(samples)

    def spare(shift: float) -> float:
        """How much less than `miss` the miss rate is, in logarithms; positive is detected."""
        mean = claimed.mean + shift
        v = max(0.0, (claimed.upper - mean) * (mean - claimed.lower))
        v = v if variance is None else min(v, variance)
        # a discrepancy upwards is missed where the mean strays down, by less than the reach on that side
        reach = mean - claimed.lower if shift > 0 else claimed.upper - mean
        allowed = _radius(claimed, samples, false_alarm, upward=shift > 0) + 2 * slack
        return math.log(miss) - log_tail(abs(shift) - allowed, samples, v, reach)

    shifts = []
    for end in (claimed.upper - claimed.mean, claimed.lower - claimed.mean):
        if end == 0:  # no mean within the range on this side
            continue
        if spare(end) <= 0:
            return math.inf
        # the miss rate falls as the shift grows, so there is one crossing
        least = math.copysign(_radius(claimed, samples, false_alarm, upward=end > 0) + 2 * slack, end)
        if abs(least) >= abs(end):
            return math.inf
        shifts.append(abs(float(brentq(spare, least, end, rtol=1e-9))))
    return max(shifts) * (1 + 1e-9) if shifts else math.inf


def mean_samples(claimed: Law, planted: Law, false_alarm: float, miss: float, slack: float = 0.0) -> int:
    """Return the number of samples from which on `mean_test` finds samples of the planted law, but for rate `miss`.

    Bennett's inequality again, with the planted law's exact variance and range. Raises ValueError for a wrong rate,
    and where the two means differ by no more than twice the slack.
    """
    check_rate("false-alarm", false_alarm)
    check_rate("miss", miss)
    check_slack(slack)
    shift = planted.mean - claimed.mean
    reach = planted.mean - planted.lower if shift > 0 else planted.upper - planted.mean

    def enough(n: int) -> bool:
        allowed = _radius(claimed, n, false_alarm, upward=shift > 0) + 2 * slack
        return abs(shift) > allowed and log_tail(abs(shift) - allowed, n, planted.variance, reach) <= math.log(miss)

    return least_samples(enough)


def _radius(claimed: Law, samples: int, false_alarm: float, upward: bool) -> float:
    reach = claimed.upper - claimed.mean if upward else claimed.mean - claimed.lower
    return radius(samples, claimed.variance, reach, false_alarm / 2)


def _outside(samples: Float[np.ndarray, " sample"], claimed: Law, slack: float) -> float | None:
    """How far a sample lies outside the range, where it does."""
    far = max(float(samples.max()) - claimed.upper, claimed.lower - float(samples.min()))
    # the range itself is computed, in float64
    room = slack + 1e-12 * max(abs(claimed.lower), abs(claimed.upper))
    return far if far > room else None
