"""Do a sampler's tokens come from softmax(logits)? A G-test on two fixed binnings of the vocabulary.

For kernels that draw inside, from a generator that cannot be replayed. 64 bins of equal mass in the order of the logits
see a wrong temperature or a cut-off tail; 1024 in the order of the index see a lost block or a shifted index. Each gets
half of the false-alarm rate (Bonferroni). Binnings are fixed before the draws are seen.

G = 2 sum O log(O / E), divided by q = 1 + (sum 1/p - 1) / (6 n (k - 1)) (Williams, "Improved likelihood ratio tests for
complete contingency tables", Biometrika 63, 1976), is compared with chi-squared of k - 1 degrees: an approximation,
for which neighbouring bins are merged until each expects at least 20 draws (`binning.EXPECTED` says why). The tests
measure it at a rate of 1e-2; down to 1e-4 it was seen to hold, at 1e-6 it was not measured. `rigorous=True` takes a
threshold that holds at every number of draws instead, and finds less (Agrawal, "Finite-sample concentration of the
multinomial in relative entropy", IEEE Trans. Inf. Theory 66, 2020, theorem I.2):

    P(G >= g) <= exp(-g/2) (e g / (2 (k - 1)))^(k - 1).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64
from scipy.optimize import brentq
from scipy.special import xlogy
from scipy.stats import chi2, ncx2

from gpu_checks.statistics.bennett import least_samples
from gpu_checks.statistics.binning import Binning, binnings
from gpu_checks.statistics.outcome import Outcome, check_count, check_rate


@dataclass(frozen=True)
class Softmax:
    """The claimed law of a sampler: log-probabilities [token], normalised in float64, and its two binnings."""

    log_probabilities: Float64[np.ndarray, " token"]
    binnings: tuple[Binning, Binning]

    @classmethod
    def of(cls, log_probabilities: Float64[np.ndarray, " token"]) -> Softmax:
        """Bin the vocabulary; raises ValueError where the probabilities do not sum to 1 within 1e-9."""
        return cls(log_probabilities, binnings(log_probabilities))


def g_statistic(
    counts: Float64[np.ndarray, "*run bin"] | Int64[np.ndarray, "*run bin"], probabilities: Float64[np.ndarray, " bin"]
) -> Float64[np.ndarray, "*run"]:
    """Return G / q of the module's text for counts of any number of runs; each row of counts sums to its n > 0."""
    n = counts.sum(axis=-1, keepdims=True)
    g = 2 * xlogy(counts, counts / (n * probabilities)).sum(axis=-1)
    return np.asarray(g / _williams(probabilities, n[..., 0]), dtype=np.float64)


def g_threshold(bins: int, false_alarm: float, rigorous: bool = False) -> float:
    """Return what G / q exceeds at the rate `false_alarm`; with `rigorous`, what G exceeds at no larger rate."""
    degrees = bins - 1
    if not rigorous:
        return float(chi2.isf(false_alarm, degrees))

    def spare(g: float) -> float:
        return -g / 2 + degrees * (1 + math.log(g / (2 * degrees))) - math.log(false_alarm)

    low = 2.0 * degrees  # where the bound is 1
    high = low
    while spare(high) > 0:
        high *= 2
    return float(brentq(spare, low, high))


def g_test(tokens: Int64[np.ndarray, " draw"], claimed: Softmax, false_alarm: float, rigorous: bool = False) -> Outcome:
    """Test whether independent draws follow the claimed law; false alarms at a rate of `false_alarm` (see the module).

    A token outside the vocabulary, or of probability 0, is impossible under the claim and alarms at once. The outcome's
    numbers are those of the binning that is nearer to an alarm. Raises ValueError for a wrong rate, for no draws, and
    for so few that no binning keeps two bins.
    """
    check_rate("false-alarm", false_alarm)
    check_count(len(tokens))
    n = len(tokens)
    vocabulary = len(claimed.log_probabilities)
    out_of_range = (tokens < 0) | (tokens >= vocabulary)
    impossible = out_of_range | (claimed.log_probabilities[np.where(out_of_range, 0, tokens)] == -np.inf)
    lost = int(np.count_nonzero(impossible))
    if lost:
        first = int(tokens[impossible][0])
        reason = f"{lost} of {n} draws cannot occur, e.g. token {first} of {vocabulary}"
        return Outcome(True, float(lost), 0.0, n, false_alarm, reason)
    outcomes = []
    for binning in _usable(claimed, n, rigorous):
        counts = np.bincount(binning.labels[tokens], minlength=binning.bins)
        g = float(g_statistic(counts, binning.probabilities))
        if rigorous:
            g *= float(_williams(binning.probabilities, n))
        threshold = g_threshold(binning.bins, false_alarm / 2, rigorous)
        reason = f"G = {g:.5g} on {binning.bins} bins by {binning.key}, {threshold:.5g} allowed"
        outcomes.append(Outcome(g > threshold, g, threshold, n, false_alarm, reason))
    return max(outcomes, key=lambda o: o.statistic / o.threshold)


def g_detectable(
    claimed: Softmax, samples: int, false_alarm: float, miss: float, rigorous: bool = False
) -> Mapping[str, float]:
    """Return for each binning ("logit", "index") the smallest discrepancy that is missed at a rate of at most `miss`.

    In nats a draw: the KL divergence of the planted law from the claimed one, both binned. By the noncentral
    chi-squared of noncentrality 2 n KL, an approximation. Raises ValueError as `g_test`.
    """
    check_rate("false-alarm", false_alarm)
    check_rate("miss", miss)
    check_count(samples)
    out = {}
    for binning in _usable(claimed, samples, rigorous):
        out[binning.key] = _noncentrality(binning, samples, false_alarm, miss, rigorous) / (2 * samples)
    return out


def g_samples(
    claimed: Softmax,
    planted: Float64[np.ndarray, " token"],
    false_alarm: float,
    miss: float,
    rigorous: bool = False,
) -> int:
    """Return the number of draws at which `g_test` finds a planted law, given as log-probabilities, but for rate miss.

    The better of the two binnings counts, by the noncentral chi-squared of noncentrality 2 n KL(planted, claimed): an
    approximation, as `g_detectable`, and a coarse one below a hundred draws. Found by bisection. Raises ValueError for
    a wrong rate or law, and where both binnings see no difference within 2^53 draws.
    """
    check_rate("false-alarm", false_alarm)
    check_rate("miss", miss)
    q = np.exp(planted)
    if q.shape != claimed.log_probabilities.shape or not abs(float(q.sum()) - 1) < 1e-9:
        raise ValueError("the planted law has another shape, or is not normalised: pass log-probabilities per token")
    impossible = float(q[claimed.log_probabilities == -np.inf].sum())
    if impossible > 0:
        return math.ceil(math.log(miss) / math.log1p(-impossible)) if impossible < 1 else 1

    def enough(n: int) -> bool:
        try:
            usable = _usable(claimed, n, rigorous)
        except ValueError:  # too few draws for two bins
            return False
        for binning in usable:
            seen = np.bincount(binning.labels, weights=q, minlength=binning.bins)
            # no smaller than 0 but for rounding, which nothing is found by
            divergence = float(xlogy(seen, seen / binning.probabilities).sum())
            if divergence > 1e-14:
                needed = _noncentrality(binning, n, false_alarm, miss, rigorous)
                if 2 * n * divergence >= needed:
                    return True
        return False

    return least_samples(enough)


def _usable(claimed: Softmax, samples: int, rigorous: bool) -> list[Binning]:
    """The binnings with bins that are full enough, or at least two."""
    merged = [b if rigorous else b.merged(samples) for b in claimed.binnings]
    usable = [b for b in merged if b.bins > 1]
    if not usable:
        raise ValueError(f"{samples} draws of this law fill no two bins with 20 each: draw more")
    return usable


def _noncentrality(binning: Binning, samples: int, false_alarm: float, miss: float, rigorous: bool) -> float:
    """The noncentrality at which the statistic stays below its threshold at the rate `miss`."""
    threshold = g_threshold(binning.bins, false_alarm / 2, rigorous)
    if not rigorous:
        threshold *= float(_williams(binning.probabilities, samples))
    degrees = binning.bins - 1

    def spare(size: float) -> float:
        return float(ncx2.cdf(threshold, degrees, size)) - miss

    high = threshold
    while spare(high) > 0:
        high *= 2
    return float(brentq(spare, 1e-9, high)) if spare(1e-9) > 0 else 1e-9


def _williams(
    probabilities: Float64[np.ndarray, " bin"], samples: Float64[np.ndarray, "*run"] | Int64[np.ndarray, "*run"] | int
) -> Float64[np.ndarray, "*run"]:
    return np.asarray(1 + (np.sum(1 / probabilities) - 1) / (6 * samples * (len(probabilities) - 1)))
