"""Means on common tokens: what a kernel gives minus what the claim gives, token by token, has mean 0.

Where a claim fixes the expected gradient but not the estimator, the variance of a sample is unknown under it; most of
it is common to both, though, and leaves with the difference. The radius is the empirical Bernstein bound (Maurer and
Pontil, "Empirical Bernstein bounds and sample variance penalization", COLT 2009, theorems 4 and 10), which estimates
the variance and still holds at every number of samples. The range of a difference is part of the claim.
"""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float

from gpu_checks.statistics.bennett import least_samples, radius
from gpu_checks.statistics.law import Law
from gpu_checks.statistics.outcome import Outcome, check_count, check_rate, check_samples, check_slack


def paired_test(
    samples: Float[np.ndarray, " sample"],
    control: Float[np.ndarray, " sample"],
    lower: float,
    upper: float,
    false_alarm: float,
    slack: float = 0.0,
) -> Outcome:
    """Test whether samples and control, taken at the same tokens, have one mean; alarms falsely at rate `false_alarm`.

    [lower, upper] holds every samples[i] - control[i] of a correct subject, up to `slack`, the bound of a difference's
    rounding error; a difference outside alarms at once. Two-sided. Raises ValueError for a wrong rate, range or slack,
    fewer than 2 samples, unequal lengths, or samples that are not finite.
    """
    check_rate("false-alarm", false_alarm)
    check_slack(slack)
    check_samples(samples, least=2)
    check_samples(control, least=2)
    if len(samples) != len(control):
        raise ValueError(f"{len(samples)} samples and {len(control)} of the control: both need the same tokens")
    _check_range(lower, upper)
    n = len(samples)
    difference = samples.astype(np.float64) - control
    far = max(float(difference.max()) - upper, lower - float(difference.min()))
    if far > slack + 1e-12 * max(abs(lower), abs(upper)):
        return Outcome(True, far, slack, n, false_alarm, f"a difference lies {far:.3g} outside the claimed range")
    off = float(difference.mean())
    # samples that err by at most the slack have a standard deviation that errs by at most sqrt(n / (n - 1)) of it
    deviation = float(difference.std(ddof=1)) + slack * math.sqrt(n / (n - 1))
    allowed = _radius(n, deviation, upper - lower, false_alarm) + slack
    reason = f"paired means differ by {off:.3g}, {allowed:.3g} allowed"
    return Outcome(abs(off) > allowed, abs(off), allowed, n, false_alarm, reason)


def paired_detectable(
    lower: float,
    upper: float,
    samples: int,
    false_alarm: float,
    miss: float,
    slack: float = 0.0,
    variance: float | None = None,
) -> float:
    """Return the smallest difference of means that `paired_test` misses at a rate of at most `miss`.

    It holds for every alternative within the range whose differences vary by at most `variance`; without one, by
    (upper - lower)^2 / 4, the most that the range admits (Popoviciu). May exceed the range: then nothing is promised.
    """
    check_rate("false-alarm", false_alarm)
    check_rate("miss", miss)
    check_slack(slack)
    check_count(samples, least=2)
    _check_range(lower, upper)
    width = upper - lower
    v = width**2 / 4 if variance is None else min(variance, width**2 / 4)
    return _needed(samples, v, width, width, false_alarm, miss, slack)


def paired_samples(
    planted: Law, lower: float, upper: float, false_alarm: float, miss: float, slack: float = 0.0
) -> int:
    """Return the number of samples from which on `paired_test` finds differences of the planted law, but for rate miss.

    Raises ValueError for a wrong rate or range, and where the planted mean is no larger than twice the slack.
    """
    check_rate("false-alarm", false_alarm)
    check_rate("miss", miss)
    check_slack(slack)
    _check_range(lower, upper)
    shift, width = abs(planted.mean), max(upper - lower, planted.width)
    reach = planted.mean - planted.lower if planted.mean > 0 else planted.upper - planted.mean
    return least_samples(
        lambda n: shift > _needed(n, planted.variance, width, reach, false_alarm, miss, slack), start=2
    )


def _radius(samples: int, deviation: float, width: float, false_alarm: float) -> float:
    """Theorem 4 for both sides: three events (the mean up, the mean down, the variance) share the rate."""
    log = math.log(3 / false_alarm)
    return deviation * math.sqrt(2 * log / samples) + 7 * width * log / (3 * (samples - 1))


def _needed(
    samples: int, variance: float, width: float, reach: float, false_alarm: float, miss: float, slack: float
) -> float:
    """The shift that is found: half of the misses for a large sample variance (theorem 10), half for a small mean."""
    deviation = math.sqrt(variance) + width * math.sqrt(2 * math.log(2 / miss) / (samples - 1))
    deviation += 2 * slack * math.sqrt(samples / (samples - 1))
    allowed = _radius(samples, deviation, width, false_alarm) + 2 * slack
    return allowed + radius(samples, variance, reach, miss / 2)


def _check_range(lower: float, upper: float) -> None:
    if not (lower <= 0 <= upper and np.isfinite(upper - lower)):
        raise ValueError(f"range [{lower}, {upper}] of the differences has to be finite and to hold 0")
