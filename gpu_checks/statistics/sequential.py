"""A test that may stop at any sample and keeps its false-alarm rate: betting against the claimed mean.

Waudby-Smith and Ramdas, "Estimating means of bounded random variables by betting", J. R. Stat. Soc. B 86, 2024,
section 4. Who bets a fraction of a capital of 1 on samples above (or below) the claimed mean m holds

    K_n = prod (1 + s (x_i - m)),    never negative for samples within the range,

a martingale under the claim, and so is the average over several stakes s. By Ville's inequality it ever reaches 1/rate
with probability at most `rate`, whatever the samples' variance and whenever one looks. The stakes are the fractions
2^-1 ... 2^-16 of the largest that the range allows, both ways: a fixed mixture, not tuned to data.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Float64

from gpu_checks.statistics.bennett import least_samples
from gpu_checks.statistics.law import Law
from gpu_checks.statistics.outcome import Outcome, check_count, check_rate, check_samples, check_slack

FRACTIONS = 2.0 ** -np.arange(1, 17)
BETS = 2 * len(FRACTIONS)
_POWERS = np.geomspace(0.02, 4, 80)
"""Exponents of Chernoff's bound that are tried; each gives a valid one."""
_ELEMENTS = 2**12
"""Samples that are worked on at once: with 32 bets, about a cache full."""


@dataclass(frozen=True)
class Claim:
    """A mean and a range of the samples, in their units; `slack` bounds the rounding error of one sample.

    Raises ValueError where the mean does not lie inside the range.
    """

    mean: float
    lower: float
    upper: float
    slack: float = 0.0

    def __post_init__(self) -> None:
        check_slack(self.slack)
        if not (self.lower < self.mean < self.upper and np.isfinite(self.upper - self.lower)):
            raise ValueError(f"mean {self.mean} has to lie inside the finite range ({self.lower}, {self.upper})")

    def stakes(self) -> Float64[np.ndarray, " bet"]:
        """Return the signed stakes per unit of the samples: first on samples above the mean, then below."""
        up = FRACTIONS / (self.mean - self.lower + 2 * self.slack)
        down = FRACTIONS / (self.upper - self.mean + 2 * self.slack)
        return np.concatenate([up, -down])

    def centres(self) -> Float64[np.ndarray, " bet"]:
        """Return what each bet subtracts: the claimed mean, as far towards the bet's side as rounding may move it."""
        half = np.full(len(FRACTIONS), self.slack)
        return np.asarray(self.mean + np.concatenate([half, -half]))


@dataclass
class SequentialTest:
    """The running test: feed it samples with `update`, and stop when you like.

    A correct subject alarms at a rate of at most `false_alarm` over the whole run, however long. Once it has alarmed,
    it stays so. Raises ValueError for a wrong rate.
    """

    claim: Claim
    false_alarm: float
    samples: int = 0
    peak: float = -math.inf
    outside: float = 0.0
    _held: Float64[np.ndarray, " bet"] = field(default_factory=lambda: np.zeros(BETS))

    def __post_init__(self) -> None:
        check_rate("false-alarm", self.false_alarm)

    def update(self, samples: Float[np.ndarray, " sample"]) -> Outcome:
        """Take the next samples and return the answer so far; raises ValueError for none, or for NaN samples.

        The statistic is the logarithm of the largest capital so far, in nats. A sample outside the claimed range, by
        more than the slack, is impossible under the claim and alarms.
        """
        check_samples(samples)
        claim = self.claim
        far = max(float(samples.max()) - claim.upper, claim.lower - float(samples.min()))
        if far > claim.slack + 1e-12 * max(abs(claim.lower), abs(claim.upper)):
            self.outside = max(self.outside, far)
        self.samples += len(samples)
        if not self.outside:
            paths, self._held = _grow(samples.astype(np.float64), claim, self._held)
            self.peak = max(self.peak, float(paths.max()))
        return self._outcome()

    def _outcome(self) -> Outcome:
        threshold = -math.log(self.false_alarm)
        if self.outside:
            reason = f"a sample lies {self.outside:.3g} outside the claimed range"
            return Outcome(True, math.inf, threshold, self.samples, self.false_alarm, reason)
        reason = f"capital against the mean {self.claim.mean:.6g} reached e^{self.peak:.3g}, e^{threshold:.3g} alarms"
        return Outcome(self.peak >= threshold, self.peak, threshold, self.samples, self.false_alarm, reason)


def log_capital(samples: Float64[np.ndarray, "*run sample"], claim: Claim) -> Float64[np.ndarray, "*run sample"]:
    """Return the logarithm of the capital after each sample, in nats, for any number of runs at once.

    Raises ValueError where a sample lies outside the claimed range by more than the slack, or is NaN.
    """
    room = claim.slack + 1e-12 * max(abs(claim.lower), abs(claim.upper))
    if not (samples.max() <= claim.upper + room and samples.min() >= claim.lower - room):
        raise ValueError("a sample is NaN or outside the claimed range: no bet is defined, the claim is refuted")
    return _grow(samples, claim, np.zeros(BETS))[0]


def sequential_samples(claim: Claim, planted: Law, false_alarm: float, miss: float) -> int:
    """Return a number of samples within which a planted law alarms, but for a rate of at most `miss`.

    Only the planted mean and variance are used. The mixture holds at least 1/32 of each bet's capital K, and by
    Markov's inequality for K^-r, any r > 0,

        P(K_n < 32 / false_alarm) <= (32 / false_alarm)^r E[(1 + y)^-r]^n,    y = s (x - m) >= -f,
        E[(1 + y)^-r] <= 1 - r E[y] + r (r + 1) / 2 (1 - f)^-(r + 2) E[y^2]   (Taylor, Lagrange's remainder).

    Raises ValueError for a wrong rate, and where the means differ by no more than twice the slack.
    """
    check_rate("false-alarm", false_alarm)
    check_rate("miss", miss)
    shift = planted.mean - claim.mean
    needed = _needed(claim, shift, planted.variance, false_alarm, miss)
    if not math.isfinite(needed):
        raise ValueError("no number of samples suffices: the discrepancy is 0, or within the slack")
    return math.ceil(needed)


def sequential_detectable(claim: Claim, samples: int, false_alarm: float, miss: float, variance: float) -> float:
    """Return the smallest discrepancy of the mean, in its units and of either sign, that alarms within the samples.

    But for a rate `miss`, for every alternative of at most the given variance. inf where none within the range is.
    """
    check_rate("false-alarm", false_alarm)
    check_rate("miss", miss)
    check_count(samples)
    found = []
    for room, sign in ((claim.upper - claim.mean, 1), (claim.mean - claim.lower, -1)):
        # in steps of 2^-12 of the room: the bound is not continuous, as the stakes are a grid
        steps = 2**12

        def enough(k: int, room: float = room, sign: int = sign, steps: int = steps) -> bool:
            return _needed(claim, sign * room * k / steps, variance, false_alarm, miss) <= samples

        if not enough(steps):
            return math.inf
        found.append(room * least_samples(enough) / steps)
    return max(found)


def _needed(claim: Claim, shift: float, variance: float, false_alarm: float, miss: float) -> float:
    """The least of the bounds over stakes and powers."""
    gain = abs(shift) - 2 * claim.slack
    if gain <= 0:
        return math.inf
    square = (math.sqrt(variance) + claim.slack) ** 2 + shift**2
    stakes = np.abs(claim.stakes()[: len(FRACTIONS)] if shift > 0 else claim.stakes()[len(FRACTIONS) :])[:, None]
    r, f = _POWERS[None, :], FRACTIONS[:, None]
    change = -r * stakes * gain + r * (r + 1) / 2 * (1 - f) ** -(r + 2) * stakes**2 * square
    # a bound of 0 or less on a positive expectation cannot happen; -1 is kept out against rounding
    rate = np.where(change < 0, -np.log1p(np.maximum(change, -1 + 1e-12)), np.nan)
    needed = (r * math.log(BETS / false_alarm) - math.log(miss)) / rate
    return float(np.nanmin(needed)) if np.isfinite(needed).any() else math.inf


def _grow(
    samples: Float64[np.ndarray, "*run sample"], claim: Claim, held: Float64[np.ndarray, " bet"]
) -> tuple[Float64[np.ndarray, "*run sample"], Float64[np.ndarray, "*last"]]:
    """The mixture's logarithm after each sample, from capitals that are held; and each bet's in the end."""
    flat = samples.reshape(-1, samples.shape[-1])
    total, ends = np.empty_like(flat), np.empty((len(flat), BETS))
    stakes, centres, held = (row[:, None, None] for row in (claim.stakes(), claim.centres(), held))
    step = max(1, _ELEMENTS // flat.shape[-1])
    for start in range(0, len(flat), step):
        rows = slice(start, start + step)
        # log, not log1p: it is five times as fast, and errs by no more than 2^-53 a sample, in nats
        paths = np.log(1 + stakes * (flat[rows] - centres))
        np.cumsum(paths, axis=-1, out=paths)
        paths += held
        top = paths.max(axis=0)
        ends[rows] = paths[..., -1].T
        total[rows] = top + np.log(np.exp(paths - top).sum(axis=0) / BETS)
    return total.reshape(samples.shape), ends.reshape(*samples.shape[:-1], BETS)
