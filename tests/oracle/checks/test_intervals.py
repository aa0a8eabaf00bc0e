"""Intervals of L in findings: where a clamp is dead and where float32 is not finite, against roots found by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from oracle.records import Finding
from tests.oracle.checks.asking import ask
from tests.oracle.judging import is_set


def k2_clamped(logp: Tensor, ref_logp: Tensor) -> Tensor:
    return (0.5 * (logp - ref_logp) ** 2).clamp(max=10)


def exp_before_clamp(logp: Tensor, ref_logp: Tensor) -> Tensor:
    d = ref_logp - logp
    return d.exp().clamp(max=1e6) - 1 - d


def exp_of_both(logp: Tensor, ref_logp: Tensor) -> Tensor:
    d = ref_logp - logp
    far = torch.where(d.abs() > 20, d.abs(), d.exp() + (-d).exp())  # exp overflows on both sides, unused
    return far + d * d


def ends(found: Finding) -> list[list[float]]:
    """The ends of the intervals, infinite where they are null."""
    assert isinstance(found.intervals, list)
    return [[-math.inf if a is None else a, math.inf if b is None else b] for a, b in found.intervals]


def test_dead_intervals_of_a_clamp() -> None:
    below, above = ends(ask("clamp.dead_gradient", k2_clamped))
    root = math.sqrt(20)
    assert below == pytest.approx([-math.inf, -root], abs=1e-6)
    assert above == pytest.approx([root, math.inf], abs=1e-6)


def test_intervals_that_are_not_finite() -> None:
    edge = math.log(torch.finfo(torch.float32).max)  # exp overflows float32 at 88.72
    (below,) = ends(ask("tail.finite", exp_before_clamp))
    assert below == pytest.approx([-math.inf, -edge], abs=1e-3)
    below, above = ends(ask("tail.finite", exp_of_both))
    assert below == pytest.approx([-math.inf, -edge], abs=1e-3)
    assert above == pytest.approx([edge, math.inf], abs=1e-3)


def test_what_passes_has_none() -> None:
    def k2(logp: Tensor, ref_logp: Tensor) -> Tensor:
        return 0.5 * (logp - ref_logp) ** 2

    for check in ("clamp.dead_gradient", "tail.finite"):
        found = ask(check, k2)
        assert found.outcome == "pass"
        assert not is_set(found.intervals)


def by_its_inverse(logp: Tensor, ref_logp: Tensor) -> Tensor:
    ratio = torch.exp(logp - ref_logp)  # fault: exp(L) overflows where the gradient goes to 1
    return 1 / ratio - 1 + ratio.log()


def by_itself(logp: Tensor, ref_logp: Tensor) -> Tensor:
    ratio = torch.exp(ref_logp - logp)
    return ratio - 1 - (ref_logp - logp)


def test_a_step_too_large_is_a_warning_where_the_gradient_is_moderate() -> None:
    # float32 ends at exp(88.72); 1 - exp(-L) is 1 there
    found = ask("tail.finite", by_its_inverse)
    assert (found.outcome, found.severity) == ("fail", "warning")
    (low, _high), *more = ends(found)
    assert low == pytest.approx(math.log(torch.finfo(torch.float32).max), abs=0.01)
    assert not more
    assert ask("tail.finite", by_itself).outcome == "pass"


def live_weight_on_k3(logp: Tensor, old_logp: Tensor, ref_logp: Tensor) -> Tensor:
    d = ref_logp - logp
    return (logp - old_logp).exp() * (d.exp() - 1 - d)


def test_terms_that_cancel_are_no_step_too_large() -> None:
    """rho (exp(-L) - 1 + L) + rho (1 - exp(-L)) is rho L: beyond float32's digits from L = -17 on, not from -88.7."""
    assert ask("tail.finite", live_weight_on_k3).outcome == "pass"
