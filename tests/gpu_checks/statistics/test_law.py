"""Laws and directions: against sums written out, sampled moments, and a finite difference."""

import numpy as np
import pytest

from gpu_checks.statistics import (
    Law,
    contrast,
    difference_direction,
    expected_gradient,
    mean_samples,
    projections,
    samples_to_tell,
)
from tests.gpu_checks.statistics.support import coefficients, pair


def test_a_law_by_hand() -> None:
    log_p = np.log(np.array([0.5, 0.25, 0.25]))
    law = Law.of(log_p, np.array([0.0, 4.0, -2.0]))
    assert (law.mean, law.variance, law.lower, law.upper, law.width) == (0.5, 4.75, -2.0, 4.0, 6.0)


def test_a_token_that_cannot_occur_does_not_count() -> None:
    log_p = np.array([0.0, -np.inf])
    law = Law.of(log_p, np.array([3.0, np.inf]))
    assert law == Law(3.0, 0.0, 3.0, 3.0)


def test_expected_gradients_are_those_of_the_objectives() -> None:
    a, b = pair(50, 0.3)
    p, q = np.exp(a), np.exp(b)
    kl, k3 = coefficients(a, b)
    assert np.allclose(expected_gradient(a, kl), p * (a - b - p @ (a - b)), atol=1e-16)
    assert np.allclose(expected_gradient(a, k3), p - q, atol=1e-16)
    assert np.allclose(expected_gradient(a, np.ones(50)), 0, atol=1e-16)
    step = 1e-6 * np.random.default_rng(0).standard_normal(50)

    def divergence(x: np.ndarray) -> float:
        x = x - np.log(np.exp(x).sum())
        return float(np.exp(x) @ (x - b))

    change = divergence(a + step) - divergence(a - step)
    assert change == pytest.approx(2 * step @ expected_gradient(a, kl), rel=1e-6)


def test_a_projection_has_the_expected_gradient_as_its_mean() -> None:
    a, b = pair(50, 0.3)
    kl, k3 = coefficients(a, b)
    told = contrast(a, kl, k3)
    assert np.linalg.norm(told.direction) == pytest.approx(1)
    for coefficient, law in ((kl, told.claimed), (k3, told.planted), (k3 - kl, told.paired)):
        assert law.mean == pytest.approx(told.direction @ expected_gradient(a, coefficient), abs=1e-16)
    # by the definition: the gradient's rows, one a token
    rows = kl[:, None] * (np.eye(50) - np.exp(a))
    assert np.allclose(projections(a, kl, told.direction), rows @ told.direction, atol=1e-16)


def test_the_difference_needs_fewer_samples_than_a_random_direction() -> None:
    a, b = pair(1000, 0.05)
    kl, k3 = coefficients(a, b)
    best = samples_to_tell(a, kl, k3, 1e-3, 1e-2)
    rng = np.random.default_rng(0)
    others = [samples_to_tell(a, kl, k3, 1e-3, 1e-2, rng.standard_normal(1000)) for _ in range(15)]
    assert 10 * best < np.median(others)
    told = contrast(a, kl, k3)
    assert best == mean_samples(told.claimed, told.planted, 1e-3, 1e-2)


def test_what_is_no_law_is_refused() -> None:
    with pytest.raises(ValueError, match="normalised"):
        Law.of(np.zeros(2), np.zeros(2))
    with pytest.raises(ValueError, match="mend"):
        Law.of(np.log(np.array([0.5, 0.5])), np.array([np.nan, 0.0]))
    for bad in ((2.0, 0.0, 0.0, 1.0), (0.5, -1.0, 0.0, 1.0), (np.nan, 1.0, 0.0, 1.0), (0.0, 1.0, 0.0, np.inf)):
        with pytest.raises(ValueError, match="no law"):
            Law(*bad)


def test_candidates_of_one_expected_gradient_have_no_direction() -> None:
    a, b = pair(50, 0.3)
    kl, _ = coefficients(a, b)
    with pytest.raises(ValueError, match="one expected gradient"):
        difference_direction(a, kl, kl + 1)  # a constant is a baseline
    with pytest.raises(ValueError, match="one expected gradient"):
        difference_direction(a, kl, kl)
