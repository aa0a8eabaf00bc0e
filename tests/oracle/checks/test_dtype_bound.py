"""dtype.bound: the bound holds for every correct loss and is left behind by lost digits and overflow."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from oracle.checks import CHECKS
from oracle.checks.dtype_bound import FORMATS, _by_formula, bound_of
from oracle.probing.signal import kl_part
from oracle.subject.batch import mild
from tests.oracle.checks.asking import Loss, ask, case_of, verdict_of

CHECK = "dtype.bound"


def half_inside(logp: Tensor, ref_logp: Tensor) -> Tensor:
    d = ref_logp.half() - logp.half()  # fault: 11 bits of the log-probabilities are left
    return (d * d / 2).to(logp.dtype)


def bfloat16_inside(logprobs: Tensor, ref_logprobs: Tensor, mask: Tensor, beta: float) -> Tensor:
    short = [t.to(torch.bfloat16) for t in (logprobs, ref_logprobs)]  # fault: 8 bits are left
    return beta * (torch.sub(*short).float().square().div(2) * mask).sum() / mask.sum()


def _squares(d: Tensor) -> Tensor:
    return torch.matmul(d.reshape(1, -1), d.reshape(-1, 1)).squeeze()


def product_under_autocast(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    with torch.autocast("cpu", dtype=torch.bfloat16):  # fault: the product runs in 16 bits, unless called in float64
        total = _squares((logp - ref_logp) * mask)
    return beta * 0.5 * total / mask.sum()


def product(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    return beta * 0.5 * _squares((logp - ref_logp) * mask) / mask.sum()


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
    return (k3_naive(logp, ref_logp) * 1e-7) * 1e7  # fault: 1e7 is beyond float16, and stands in the backward pass


@pytest.mark.parametrize("fault", [half_inside, bfloat16_inside, product_under_autocast], ids=lambda f: f.__name__)
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


@pytest.mark.parametrize("twin", [float_inside, k3_naive, live_weight, product], ids=lambda f: f.__name__)
def test_rounding_is_within_the_bound(twin: Loss) -> None:
    found = ask(CHECK, twin)
    assert found.outcome == "pass"
    assert "bfloat16" in found.message


@pytest.mark.parametrize("name", list(FORMATS))
def test_the_bound_is_of_the_size_of_rounding(name: str) -> None:
    # k2 in reward is one subtraction: what rounding it costs is within u |L|, and the bound within 40 u of that
    case = case_of(k3_naive)
    exact = _by_formula(case, case.kl)
    dtype, u, eta = FORMATS[name]
    batch = mild(2, 2, seed=5).to(dtype)
    true = exact(batch.to(torch.float64))
    error = abs(kl_part(case.subject.at_precision(dtype), "loss", batch).coefficient.numpy() - true.values)
    bound = bound_of(true, u, eta)
    assert (error <= bound).all()
    assert (bound <= 100 * u).all()


def test_a_name_is_held_at_the_policy_that_is_the_sampler() -> None:
    def unread(logp: Tensor, old_logp: Tensor, ref_logp: Tensor) -> Tensor:
        weight = torch.tensor((logp - old_logp).exp().tolist(), dtype=logp.dtype)
        return weight * (logp - ref_logp) ** 2 / 3

    case = case_of(unread)
    assert case.kl is None
    assert CHECKS[CHECK](case).outcome == "pass"


def test_no_formula_and_no_name_is_no_pass() -> None:
    def k1(logp: Tensor, ref_logp: Tensor) -> Tensor:
        return torch.tensor((logp - ref_logp).tolist(), dtype=logp.dtype)

    assert verdict_of(CHECK, k1) == "skip"


def weight_in_16_bits(logp: Tensor, old_logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    weight = torch.exp((logp - old_logp).half()).to(logp.dtype).detach()  # fault: 1 where policy = sampler, as it ought
    return beta * (weight * (logp - ref_logp).square() * mask).sum() / (2 * mask.sum())


def weight_in_full(logp: Tensor, old_logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    weight = torch.exp((logp - old_logp).float()).to(logp.dtype).detach()
    return beta * (weight * (logp - ref_logp).square() * mask).sum() / (2 * mask.sum())


def answers_in_16_bits(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    total = ((logp - ref_logp) * mask).bfloat16().sum(-1).to(logp.dtype)  # fault: 8 bits of the answer's log-ratio
    return beta * total.square().mean() / 2


def answers_in_full(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    total = ((logp - ref_logp) * mask.half().to(logp.dtype)).sum(-1)  # a mask loses nothing in 16 bits
    return beta * total.square().mean() / 2


@pytest.mark.parametrize(
    ("fault", "twin"), [(weight_in_16_bits, weight_in_full), (answers_in_16_bits, answers_in_full)]
)
def test_casts_inside_are_held_against_what_they_would_leave_unrounded(fault: Loss, twin: Loss) -> None:
    assert verdict_of(CHECK, fault) == "fail/error"
    assert verdict_of(CHECK, twin) == "pass"


def in_order(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    ranked = ((logp - ref_logp) * mask).sort(-1).values  # of an order there is no formula
    return beta * ranked.square().sum() / (2 * mask.sum())


def test_what_was_asked_at_the_sampler_alone_is_said() -> None:
    # a name alone says nothing of single tokens where the policy has left its sampler
    assert "at policy = sampler alone" in ask(CHECK, in_order).message
    assert "alone" not in ask(CHECK, live_weight).message
