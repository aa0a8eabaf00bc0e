"""Names by measurement: each objective's gradient, by automatic differentiation of its definition, gets its name."""

from __future__ import annotations

import numpy as np
import pytest

from oracle.probing.expectation import LEVELS
from oracle.probing.instances import Instance, draw
from oracle.probing.naming import Bench, candidates
from tests.oracle.probing.test_expectation import DIVERGENCES, by_autograd

TOLERANCE = 1e-7


def drawn(horizon: int) -> list[Instance]:
    rng = np.random.default_rng(11)
    return [draw(rng, horizon, 1.5, 0.7) for _ in range(3)]


@pytest.fixture(scope="module")
def bench() -> Bench:
    return Bench(drawn(2))


def test_one_level_at_horizon_one_and_all_at_two() -> None:
    assert {(level, prefixes) for _, level, prefixes in candidates(1)} == {LEVELS[0]}
    assert {(level, prefixes) for _, level, prefixes in candidates(2)} == set(LEVELS)
    assert len(candidates(2)) == len(LEVELS) * len(DIVERGENCES)


@pytest.mark.parametrize("name", DIVERGENCES)
@pytest.mark.parametrize(("level", "prefixes"), LEVELS)
def test_a_gradient_by_definition_has_its_name_level_and_scale(
    bench: Bench, name: str, level: str, prefixes: str | None
) -> None:
    gradients = [-2.5 * by_autograd(name, level, prefixes, i) for i in bench.instances]
    found, best = bench.name(gradients, TOLERANCE)
    assert best is not None
    assert (found, best.level, best.prefixes) == (name, level, prefixes)
    assert best.scale == pytest.approx(-2.5, rel=1e-9)
    assert best.relative_error < 1e-9


def test_a_mixture_has_none_and_the_nearest_with_its_error(bench: Bench) -> None:
    # r = a + b with |b| = 0.1 |a|: the nearest is a, off by what of b is not along a, as a part of r
    a, b = (
        np.stack([by_autograd(name, "token", "sampler", i) for i in bench.instances])
        for name in ("reverse_kl", "total_variation")
    )
    b *= 0.1 * np.linalg.norm(a) / np.linalg.norm(b)
    across = b - a * float((a * b).sum() / (a * a).sum())
    found, best = bench.name(list(a + b), 1e-3)
    assert best is not None
    assert (found, best.objective) == ("unnamed", "reverse_kl")
    assert best.relative_error == pytest.approx(np.linalg.norm(across) / np.linalg.norm(a + b), rel=1e-9)


def test_zero_is_measured_beside_the_reverse_kl(bench: Bench) -> None:
    plain = [by_autograd("reverse_kl", "token", "sampler", i) for i in bench.instances]
    assert bench.size == pytest.approx(np.linalg.norm(plain), rel=1e-9)
    assert bench.name([0.9 * TOLERANCE * g for g in plain], TOLERANCE) == ("zero", None)
    found, best = bench.name([1.1 * TOLERANCE * g for g in plain], TOLERANCE)
    assert found == "reverse_kl"
    assert best is not None


def test_a_small_gradient_of_mild_instances_is_enough() -> None:
    mild = [draw(np.random.default_rng(2), 2, 0.4, 0.05)]
    small = Bench(mild)
    assert 0 < small.size < 1
    assert small.name([by_autograd("forward_kl", "sequence", None, mild[0])], 1e-6)[0] == "forward_kl"
