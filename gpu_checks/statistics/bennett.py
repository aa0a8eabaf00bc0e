"""Bennett's inequality: how far the mean of bounded samples of known variance strays, with no normal approximation.

Boucheron, Lugosi and Massart, "Concentration inequalities" (2013), theorem 2.9: for n independent samples of mean m and
variance v that exceed m by at most b,

    P(mean - m >= t) <= exp(-n (v / b^2) h(b t / v)),    h(x) = (1 + x) log(1 + x) - x.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from scipy.optimize import brentq


def log_tail(t: float, samples: int, variance: float, reach: float) -> float:
    """Return the logarithm of the bound on P(mean - m >= t); `reach` is b, both in the samples' units."""
    if t <= 0:
        return 0.0
    if t > reach or variance == 0:
        return -math.inf
    x = reach * t / variance
    # h(x) = x^2/2 - x^3/6 + ...: below 1e-4 the difference of logarithms would cancel
    h = x * x / 2 - x**3 / 6 if x < 1e-4 else (1 + x) * math.log1p(x) - x
    return -samples * variance / reach**2 * h


def radius(samples: int, variance: float, reach: float, rate: float) -> float:
    """Return the t at which the bound on P(mean - m >= t) is `rate`."""
    if variance == 0 or reach <= 0:
        return 0.0
    goal = math.log(rate)
    if log_tail(reach, samples, variance, reach) > goal:
        return reach
    # Bernstein's inequality follows from Bennett's, so its t is an upper end
    wide = math.sqrt(-2 * variance * goal / samples) - 2 * reach * goal / (3 * samples)
    return float(brentq(lambda t: log_tail(t, samples, variance, reach) - goal, 0.0, min(wide, reach), rtol=1e-12))


def least_samples(enough: Callable[[int], bool], start: int = 1, limit: int = 2**53) -> int:
    """Return the least count from `start` on that is `enough`, where more never hurts; ValueError past `limit`."""
    if enough(start):
        return start
    low, high = start, 2 * start
    while not enough(high):
        low, high = high, 2 * high
        if high > limit:
            raise ValueError("no number of samples suffices: the discrepancy is 0, or within the slack")
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high
