"""dtype.bound: the bound holds for every correct loss and is left behind by lost digits and overflow."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from oracle.checks.dtype_bound import _FORMATS, _bound, _by_formula
from oracle.probing.signal import kl_part
from oracle.subject.batch import mild
from tests.oracle.checks.asking import Loss, ask, case_of, verdict_of

CHECK = "dtype.bound"


def half_inside(logp: Tensor, ref_logp: Tensor) -> Tensor:
    d = ref_logp.half() - logp.half()  # fault: 11 bits of the log-probabilities are left
    return (d * d / 2).to(logp.dtype)


def rounded(logprobs: Tensor, ref_logprobs: Tensor, mask: Tensor, beta: float) -> Tensor:
    coarse = torch.round(logprobs - ref_logprobs, decimals=3)  # fault: log-ratios stored with three decimals
    return beta * (coarse.detach() * logprobs * mask).sum() / mask.sum()


def float_inside(logp: Tensor, ref_logp: Tensor) -> Tensor:
    d = ref_logp.float() - logp.float()
    return (d * d / 2).to(logp.dtype)


def k3_naive(logp: Tensor, ref_logp: Tensor) -> Tensor:
    d = ref_logp - logp
    return d.exp() - d - 1


def live_weight(logp: Tensor, old_logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    d = ref_logp - logp
    return beta * ((logp - old_logp).exp() * (d.expm1() - d) * mask).sum() / mask.sum()


def scaled_out_of_range(logp: Tensor, ref_logp: Tensor) -> Tensor:
    return (1e3 * (logp - ref_logp)).square() / 2e6  # fault: 0.3e3 squared is beyond float16's 65504


@pytest.mark.parametrize("fault", [half_inside, rounded], ids=lambda f: f.__name__)
def test_lost_digits_are_found(fault: Loss) -> None:
    found = ask(CHECK, fault)
    assert (found.outcome, found.severity) == ("fail", "error")
    assert found.counterexample is not None
    actual, expected, bound = (found.counterexample[n] for n in ("actual", "expected", "bound"))
    assert abs(actual - expected) > 10 * bound


def test_overflow_of_float16_is_a_warning() -> None:
    found = ask(CHECK, scaled_out_of_range)
    assert (found.outcome, found.severity) == ("fail", "warning")
    assert "float16" in found.message


@pytest.mark.parametrize("twin", [float_inside, k3_naive, live_weight], ids=lambda f: f.__name__)
def test_rounding_is_within_the_bound(twin: Loss) -> None:
    found = ask(CHECK, twin)
    assert found.outcome == "pass"
    assert "bfloat16" in found.message


@pytest.mark.parametrize("name", list(_FORMATS))
def test_the_bound_is_of_the_size_of_rounding(name: str) -> None:
    # k2 in reward is one subtraction: what rounding it costs is within u |L|, and the bound within 40 u of that
    case = case_of(k3_naive)
    exact = _by_formula(case)
    dtype, u, eta = _FORMATS[name]
    batch = mild(2, 2, seed=5).to(dtype)
    true = exact(batch.to(torch.float64))
    error = abs(kl_part(case.subject.at_precision(dtype), "loss", batch).coefficient.numpy() - true.values)
    bound = _bound(true, u, eta)
    assert (error <= bound).all()
    assert (bound <= 100 * u).all()


def test_no_formula_and_no_name_is_no_pass() -> None:
    def k1(logp: Tensor, ref_logp: Tensor) -> Tensor:
        return torch.tensor((logp - ref_logp).tolist(), dtype=logp.dtype)

    assert verdict_of(CHECK, k1) == "skip"
