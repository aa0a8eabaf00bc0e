"""The case that the statistics are built for: k3 as loss where reverse KL is claimed, at 0.05 nats, full vocabulary.

131,072 tokens, logits 2 N(0, 1), a false-alarm rate of 1e-6 and a miss rate of 1e-3: each test finds the fault with
the samples that it promises, and a correct kernel passes on as many.
"""

import numpy as np
import pytest

from gpu_checks.statistics import (
    Claim,
    Contrast,
    Law,
    SequentialTest,
    contrast,
    mean_samples,
    mean_test,
    paired_samples,
    paired_test,
    projections,
    samples_to_tell,
    sequential_samples,
)
from tests.gpu_checks.statistics.support import Floats, coefficients, least, pair, tokens

VOCABULARY, DIVERGENCE = 131_072, 0.05
FALSE_ALARM, MISS = 1e-6, 1e-3
RUNS = 30


@pytest.fixture(scope="module")
def told() -> Contrast:
    a, b = pair(VOCABULARY, DIVERGENCE)
    return contrast(a, *coefficients(a, b))


def drawn(count: int, seed: int) -> tuple[Floats, Floats]:
    """Projections of the claim's and of the planted coefficient, on common tokens [run, sample]."""
    a, b = pair(VOCABULARY, DIVERGENCE)
    kl, k3 = coefficients(a, b)
    told = contrast(a, kl, k3)
    at = tokens(np.random.default_rng(seed), a, (RUNS, count))
    return projections(a, kl, told.direction)[at], projections(a, k3, told.direction)[at]


def test_the_mean_finds_it(told: Contrast) -> None:
    # over a common range: else a sample that reverse KL cannot give would betray k3, whatever the mean
    lower, upper = min(told.claimed.lower, told.planted.lower), max(told.claimed.upper, told.planted.upper)
    claimed = Law(told.claimed.mean, told.claimed.variance, lower, upper)
    n = mean_samples(claimed, told.planted, FALSE_ALARM, MISS)
    correct, wrong = drawn(n, seed=0)
    assert sum(mean_test(row, claimed, FALSE_ALARM).alarm for row in wrong) >= least(RUNS, 1 - MISS)
    assert not any(mean_test(row, claimed, FALSE_ALARM).alarm for row in correct)
    assert not any(mean_test(row, told.claimed, FALSE_ALARM).alarm for row in correct)
    assert 2e4 < n < 5e4


def test_the_samples_to_tell_are_those_of_the_mean_test(told: Contrast) -> None:
    a, b = pair(VOCABULARY, DIVERGENCE)
    kl, k3 = coefficients(a, b)
    n = samples_to_tell(a, kl, k3, FALSE_ALARM, MISS)
    assert n == mean_samples(told.claimed, told.planted, FALSE_ALARM, MISS)
    assert sum(mean_test(row, told.claimed, FALSE_ALARM).alarm for row in drawn(n, seed=1)[1]) >= least(RUNS, 1 - MISS)


def test_pairs_find_it(told: Contrast) -> None:
    lower, upper = told.paired.lower, told.paired.upper
    n = paired_samples(told.paired, lower, upper, FALSE_ALARM, MISS)
    correct, wrong = drawn(n, seed=2)
    found = sum(paired_test(w, c, lower, upper, FALSE_ALARM).alarm for w, c in zip(wrong, correct, strict=True))
    assert found >= least(RUNS, 1 - MISS)
    assert not paired_test(correct[0], correct[0], lower, upper, FALSE_ALARM).alarm
    assert n < 2e4


def test_betting_on_pairs_finds_it_with_the_fewest(told: Contrast) -> None:
    claim = Claim(0.0, told.paired.lower, told.paired.upper)
    n = sequential_samples(claim, told.paired, FALSE_ALARM, MISS)
    correct, wrong = drawn(n, seed=3)
    found = sum(SequentialTest(claim, FALSE_ALARM).update(row).alarm for row in wrong - correct)
    assert found >= least(RUNS, 1 - MISS)
    assert n < paired_samples(told.paired, told.paired.lower, told.paired.upper, FALSE_ALARM, MISS) / 2


def test_betting_on_the_mean_finds_it(told: Contrast) -> None:
    lower, upper = min(told.claimed.lower, told.planted.lower), max(told.claimed.upper, told.planted.upper)
    claim = Claim(told.claimed.mean, lower, upper)
    n = sequential_samples(claim, told.planted, FALSE_ALARM, MISS)
    correct, wrong = drawn(n, seed=4)
    assert sum(SequentialTest(claim, FALSE_ALARM).update(row).alarm for row in wrong) >= least(RUNS, 1 - MISS)
    assert not any(SequentialTest(claim, FALSE_ALARM).update(row).alarm for row in correct)
