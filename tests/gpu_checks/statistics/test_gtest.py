"""The G-test keeps both of its rates on both binnings; without Bonferroni or Williams's correction it does not."""

import math
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_array
from scipy.special import logsumexp

from gpu_checks.statistics import Softmax, g_detectable, g_samples, g_statistic, g_test, g_threshold
from gpu_checks.statistics.binning import EXPECTED, Binning, equal_mass
from tests.gpu_checks.statistics.support import RATE, RUNS, Floats, least, most, pair, tokens

VOCABULARY = 2000
FEW, MANY = 6000, 40_000
"""Draws: 6000 leave little more than 20 a bin by index, after merging; 40,000 leave 40."""
EQUAL = np.full(1024, 1 / 1024)
"""The hardest law: every bin expects no more than the least."""


def claimed() -> Softmax:
    return Softmax.of(pair(VOCABULARY, 0.05)[0])


def histograms(log_p: Floats, runs: int, draws: int, seed: int) -> np.ndarray[Any, Any]:
    p = np.exp(log_p)
    return np.random.default_rng(seed).multinomial(draws, p / p.sum(), size=runs)


def binned(counts: np.ndarray[Any, Any], binning: Binning) -> Floats:
    members = csr_array((np.ones(len(binning.labels)), (np.arange(len(binning.labels)), binning.labels)))
    return np.asarray(counts @ members)


def statistics(law: Softmax, counts: np.ndarray[Any, Any], draws: int) -> list[tuple[Floats, int]]:
    """G / q of every run and the number of bins, for each binning."""
    merged = (b.merged(draws) for b in law.binnings)
    return [(g_statistic(binned(counts, b), b.probabilities), b.bins) for b in merged]


def alarms(law: Softmax, counts: np.ndarray[Any, Any], draws: int, each: float = RATE / 2) -> int:
    over = [g > g_threshold(bins, each) for g, bins in statistics(law, counts, draws)]
    return int(np.count_nonzero(over[0] | over[1]))


@pytest.fixture(scope="module")
def few() -> np.ndarray[Any, Any]:
    return histograms(claimed().log_probabilities, RUNS, FEW, seed=0)


@pytest.fixture(scope="module")
def many() -> np.ndarray[Any, Any]:
    return histograms(claimed().log_probabilities, RUNS, MANY, seed=1)


def test_false_alarms_keep_to_the_rate_with_few_draws_a_bin(few: np.ndarray[Any, Any]) -> None:
    assert alarms(claimed(), few, FEW) <= most(RUNS, RATE)


def test_false_alarms_keep_to_the_rate(many: np.ndarray[Any, Any]) -> None:
    count = alarms(claimed(), many, MANY)
    assert count <= most(RUNS, RATE)
    assert count >= least(RUNS, RATE / 2)  # and the rate is no overstatement


def test_two_binnings_at_the_whole_rate_each_exceed_it(many: np.ndarray[Any, Any]) -> None:
    assert alarms(claimed(), many, MANY, each=RATE) > most(RUNS, RATE)


def equal_bins(expected: float, runs: int) -> Floats:
    """G / q of runs on 1024 bins that expect so many draws each."""
    return g_statistic(histograms(np.log(EQUAL), runs, int(1024 * expected), seed=4), EQUAL)


def test_the_fewest_draws_a_bin_keep_the_rate() -> None:
    g, threshold = equal_bins(EXPECTED, RUNS), g_threshold(1024, RATE)
    assert np.count_nonzero(g > threshold) <= most(RUNS, RATE)
    # without Williams's correction they do not
    correction = 1 + (1024**2 - 1) / (6 * 1024 * EXPECTED * 1023)
    assert np.count_nonzero(g * correction > threshold) > most(RUNS, RATE)


def test_fewer_draws_a_bin_exceed_the_rate() -> None:
    assert np.count_nonzero(equal_bins(3, 2000) > g_threshold(1024, RATE)) > most(2000, RATE)


def test_a_degree_of_freedom_for_each_token_hides_every_fault(many: np.ndarray[Any, Any]) -> None:
    """Not an excess: a threshold taken from the vocabulary instead of the bins never alarms, and so finds nothing."""
    law = claimed()
    g, _ = statistics(law, many, MANY)[1]
    assert np.count_nonzero(g > g_threshold(VOCABULARY, RATE / 2)) < least(RUNS, RATE / 2)


def test_the_rigorous_threshold_keeps_to_the_rate_at_any_number_of_draws(few: np.ndarray[Any, Any]) -> None:
    law = claimed()
    over = np.zeros(RUNS, dtype=bool)
    for binning in law.binnings:
        k, counts = binning.bins, binned(few, binning)
        correction = 1 + (np.sum(1 / binning.probabilities) - 1) / (6 * FEW * (k - 1))
        over |= g_statistic(counts, binning.probabilities) * correction > g_threshold(k, RATE / 2, rigorous=True)
    assert np.count_nonzero(over) <= most(RUNS, RATE)


@pytest.mark.parametrize("rigorous", [False, True])
def test_the_test_decides_as_its_statistics_do(rigorous: bool) -> None:
    law = claimed()
    hot = law.log_probabilities / 1.05
    hot -= logsumexp(hot)
    for seed, log_p in enumerate((law.log_probabilities, hot)):
        for drawn in tokens(np.random.default_rng(seed), log_p, (20, MANY)):
            out = g_test(drawn, law, RATE, rigorous)
            counts = np.bincount(drawn, minlength=VOCABULARY)[None]
            if rigorous:
                assert not (out.alarm and seed == 0)
            else:
                assert out.alarm == bool(alarms(law, counts, MANY))
            assert out.samples == MANY
            bins = {b.bins if rigorous else b.merged(MANY).bins for b in law.binnings}
            assert out.threshold in {g_threshold(k, RATE / 2, rigorous) for k in bins}


def planted(name: str) -> Floats:
    a = pair(VOCABULARY, 0.05)[0]
    if name == "temperature 1.05":
        q = a / 1.05
    elif name == "last 20 tokens lost":
        q = np.where(np.arange(VOCABULARY) < VOCABULARY - 20, a, -np.inf)
    else:  # a share of draws that ignore the logits, as uniform numbers of 24 bits make at a large vocabulary
        q = np.logaddexp(a + math.log1p(-0.02), math.log(0.02 / VOCABULARY))
    return np.asarray(q - logsumexp(q))


@pytest.mark.parametrize("name", ["temperature 1.05", "last 20 tokens lost", "2% of draws at random"])
def test_the_promised_draws_find_the_planted_law(name: str) -> None:
    law, q = claimed(), planted(name)
    miss, runs = 0.05, 2000
    n = g_samples(law, q, RATE, miss)
    assert alarms(law, histograms(q, runs, n, seed=2), n) >= least(runs, 1 - miss)
    assert alarms(law, histograms(q, runs, n // 2, seed=3), n // 2) < least(runs, 1 - miss)
    assert g_samples(law, q, RATE, miss, rigorous=True) > n


def test_the_detectable_discrepancy_needs_the_draws_that_it_is_for() -> None:
    law, q, miss = claimed(), planted("temperature 1.05"), 0.05
    n = g_samples(law, q, RATE, miss)
    binning = law.binnings[0].merged(n)
    seen = np.bincount(binning.labels, weights=np.exp(q))
    divergence = float(seen @ np.log(seen / binning.probabilities))
    assert g_detectable(law, n, RATE, miss)["logit"] == pytest.approx(divergence, rel=1e-3)
    at = g_detectable(law, 10 * n, RATE, miss), g_detectable(law, 10 * n, RATE, miss, rigorous=True)
    assert at[0]["logit"] < at[1]["logit"]
    assert at[0]["index"] < at[1]["index"]


def test_a_lost_block_is_seen_by_index_and_not_by_logit() -> None:
    law, q = claimed(), planted("last 20 tokens lost")
    by_logit, by_index = law.binnings
    alone = [Softmax(law.log_probabilities, (b, b)) for b in (by_logit, by_index)]
    needed = [g_samples(s, q, 1e-6, 1e-3) for s in alone]
    assert needed[1] < needed[0] / 3


def test_impossible_tokens_alarm_at_once() -> None:
    a = pair(VOCABULARY, 0.05)[0]
    masked = np.where(np.arange(VOCABULARY) == 7, -np.inf, a)
    law = Softmax.of(masked - logsumexp(masked))
    for token in (7, -1, VOCABULARY):
        out = g_test(np.array([3, token]), law, 1e-6)
        assert out.alarm
        assert f"token {token} of {VOCABULARY}" in out.reason
    share = math.exp(a[7])
    assert g_samples(law, a, 1e-6, 1e-3) == math.ceil(math.log(1e-3) / math.log1p(-share))


def test_bins_share_the_mass_and_merging_fills_them() -> None:
    law = claimed()
    p = np.exp(law.log_probabilities)
    for binning, bins in zip(law.binnings, (64, 1024), strict=True):
        assert 0.5 * bins < binning.bins <= bins
        assert np.allclose(np.bincount(binning.labels, weights=p), binning.probabilities)
        merged = binning.merged(FEW)
        assert (merged.probabilities * FEW >= EXPECTED).all()
        assert np.allclose(np.bincount(merged.labels, weights=p), merged.probabilities)
        assert binning.merged(10**9).bins == binning.bins
    order = np.argsort(law.binnings[0].labels, kind="stable")
    assert (law.log_probabilities[order][:100].max()) <= law.log_probabilities[order][-100:].min()


def test_a_likely_token_has_its_own_bin_and_tokens_of_no_probability_none() -> None:
    log_p = np.log(np.array([0.05, 0.9, 0.05]))
    assert equal_mass(log_p, np.arange(3), 4, "index").probabilities.tolist() == pytest.approx([0.05, 0.9, 0.05])
    masked = np.array([-np.inf, 0.0, -np.inf])
    assert equal_mass(masked, np.arange(3), 4, "index").bins == 1


def test_the_rigorous_threshold_solves_its_bound() -> None:
    g = g_threshold(64, 1e-6, rigorous=True)
    assert -g / 2 + 63 * (1 + math.log(g / 126)) == pytest.approx(math.log(1e-6))
    assert g > g_threshold(64, 1e-6)


def test_wrong_arguments_are_refused() -> None:
    law = claimed()
    for rate in (0.0, 1.0):
        with pytest.raises(ValueError, match="false-alarm rate"):
            g_test(np.zeros(9, dtype=np.int64), law, rate)
        with pytest.raises(ValueError, match="miss rate"):
            g_samples(law, law.log_probabilities, 0.1, rate)
        with pytest.raises(ValueError, match="miss rate"):
            g_detectable(law, 9, 0.1, rate)
    with pytest.raises(ValueError, match="draw more"):
        g_test(np.zeros(0, dtype=np.int64), law, 0.1)
    with pytest.raises(ValueError, match="fill no two bins"):
        g_test(np.zeros(9, dtype=np.int64), law, 0.1)
    with pytest.raises(ValueError, match="normalised"):
        Softmax.of(np.zeros(3))
    for bad in (law.log_probabilities[1:], law.log_probabilities + 1):
        with pytest.raises(ValueError, match="not normalised"):
            g_samples(law, bad, 0.1, 0.1)
    with pytest.raises(ValueError, match="no number of samples"):
        g_samples(law, law.log_probabilities, 0.1, 0.1)
