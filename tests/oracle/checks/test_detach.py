"""detach.reference and detach.sampler: gradients that reach the wrong tensor, or none."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tests.oracle.checks.asking import Loss, ask, verdict_of


def policy_detached(logp: Tensor, ref_logp: Tensor) -> Tensor:
    d = ref_logp - logp.detach()  # fault: the wrong one is detached
    return d.expm1() - d


def policy_under_no_grad(
    logp: Tensor, old_logp: Tensor, ref_logp: Tensor, advantages: Tensor, mask: Tensor, beta: float
) -> Tensor:
    with torch.no_grad():
        frozen = logp + 0.0
    kl = (frozen - ref_logp).square() / 2  # fault: the KL of a frozen copy
    pg = -(logp - old_logp).exp() * advantages[:, None]
    return ((pg + beta * kl) * mask).sum() / mask.sum()


def reference_detached(logp: Tensor, ref_logp: Tensor) -> Tensor:
    d = ref_logp.detach() - logp
    return d.expm1() - d


def left_to_the_caller(
    logp: Tensor, old_logp: Tensor, ref_logp: Tensor, advantages: Tensor, mask: Tensor, beta: float
) -> Tensor:
    kl = (logp - ref_logp).square() / 2
    pg = -(logp - old_logp).exp() * advantages[:, None]
    return ((pg + beta * kl) * mask).sum() / mask.sum()


@pytest.mark.parametrize("fault", [policy_detached, policy_under_no_grad], ids=lambda f: f.__name__)
def test_gradient_into_the_reference_alone(fault: Loss) -> None:
    found = ask("detach.reference", fault)
    assert (found.outcome, found.severity) == ("fail", "error")


@pytest.mark.parametrize(
    ("twin", "words"),
    [(reference_detached, "no gradient reaches the reference"), (left_to_the_caller, "the caller detaches it")],
    ids=lambda f: getattr(f, "__name__", ""),
)
def test_gradient_into_the_policy(twin: Loss, words: str) -> None:
    found = ask("detach.reference", twin)
    assert found.outcome == "pass"
    assert words in found.message


def test_no_gradient_at_all_is_no_pass() -> None:
    @torch.no_grad()
    def frozen(logp: Tensor, ref_logp: Tensor) -> Tensor:
        return (logp - ref_logp) ** 2

    assert verdict_of("detach.reference", frozen) == "skip"
    assert verdict_of("detach.reference", frozen, "reward") == "skip"


def ratio_of_a_detached_policy(
    logp: Tensor, old_logp: Tensor, ref_logp: Tensor, advantages: Tensor, mask: Tensor, beta: float
) -> Tensor:
    ratio = (logp.detach() - old_logp).exp()  # fault: the ratio of the policy is a number
    head = advantages[:, None] - beta * (logp - ref_logp).detach()
    return -(ratio * head * mask).sum() / mask.sum()


def live_stand_in(
    logp: Tensor, ref_logp: Tensor, advantages: Tensor, mask: Tensor, beta: float, old_logp: Tensor | None = None
) -> Tensor:
    old = logp if old_logp is None else old_logp  # fault: the ratio is 1 and has no gradient
    head = advantages[:, None] - beta * (logp - ref_logp).detach()
    return -((logp - old).exp() * head * mask).sum() / mask.sum()


def detached_stand_in(
    logp: Tensor, ref_logp: Tensor, advantages: Tensor, mask: Tensor, beta: float, old_logp: Tensor | None = None
) -> Tensor:
    old = logp.detach() if old_logp is None else old_logp
    head = advantages[:, None] - beta * (logp - ref_logp).detach()
    return -((logp - old).exp() * head * mask).sum() / mask.sum()


def detached_ratio_beside_a_kl_term(
    logp: Tensor, old_logp: Tensor, ref_logp: Tensor, advantages: Tensor, mask: Tensor, beta: float
) -> Tensor:
    ratio = (logp.detach() - old_logp).exp()  # fault: the KL term alone is learned
    return ((beta * (logp - ref_logp).square() / 2 - ratio * advantages[:, None]) * mask).sum() / mask.sum()


def live_stand_in_beside_a_kl_term(
    logp: Tensor, ref_logp: Tensor, advantages: Tensor, mask: Tensor, beta: float, old_logp: Tensor | None = None
) -> Tensor:
    ratio = (logp - (logp if old_logp is None else old_logp)).exp()  # fault: the KL term alone is learned
    return ((beta * (logp - ref_logp).square() / 2 - ratio * advantages[:, None]) * mask).sum() / mask.sum()


@pytest.mark.parametrize(
    "fault",
    [
        ratio_of_a_detached_policy,
        live_stand_in,
        detached_ratio_beside_a_kl_term,
        live_stand_in_beside_a_kl_term,
    ],
    ids=lambda f: f.__name__,
)
def test_a_weight_without_gradient(fault: Loss) -> None:
    found = ask("detach.sampler", fault)
    assert (found.outcome, found.severity) == ("fail", "error")
    assert found.counterexample is not None


def detached_stand_in_beside_a_kl_term(
    logp: Tensor, ref_logp: Tensor, advantages: Tensor, mask: Tensor, beta: float, old_logp: Tensor | None = None
) -> Tensor:
    ratio = (logp - (logp.detach() if old_logp is None else old_logp)).exp()
    return ((beta * (logp - ref_logp).square() / 2 - ratio * advantages[:, None]) * mask).sum() / mask.sum()


@pytest.mark.parametrize(
    "twin",
    [detached_stand_in, left_to_the_caller, detached_stand_in_beside_a_kl_term],
    ids=lambda f: f.__name__,
)
def test_a_weight_with_gradient(twin: Loss) -> None:
    assert verdict_of("detach.sampler", twin) == "pass"


def weight_left_out(
    logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float, old_logp: Tensor | None = None
) -> Tensor:
    d = ref_logp - logp
    kl = d.expm1() - d
    if old_logp is not None:
        kl = kl * (logp - old_logp).exp()
    return beta * (kl * mask).sum() / mask.sum()


def test_another_gradient_without_a_sampler_is_a_note() -> None:
    found = ask("detach.sampler", weight_left_out)
    assert (found.outcome, found.severity) == ("fail", "note")


def test_no_sampler_no_question() -> None:
    assert verdict_of("detach.sampler", reference_detached) == "skip"


def test_a_kl_term_in_the_value_alone_says_why() -> None:
    found = ask("reference.dependence", policy_under_no_grad)
    assert (found.outcome, found.severity) == ("fail", "error")
    assert "the value moves with the coefficient" in found.message
