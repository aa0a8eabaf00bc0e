"""expected_gradient.*: no divergence on-policy, another field off-policy, no objective of whole answers."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from oracle.case import Options
from oracle.claims import parse_claim
from oracle.judge import judge_binding
from oracle.subject.binding import bind
from oracle.subject.target import Target
from tests.oracle.checks.asking import Loss, ask, verdict_of


def k1(logp: Tensor, ref_logp: Tensor) -> Tensor:
    return logp - ref_logp


def k2(logp: Tensor, ref_logp: Tensor) -> Tensor:
    return 0.5 * (logp - ref_logp) ** 2


def k3(logp: Tensor, ref_logp: Tensor) -> Tensor:
    d = ref_logp - logp
    return d.exp() - 1 - d


def live_weight_on_k2(logp: Tensor, old_logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    weight = (logp - old_logp).exp()
    return beta * (weight * (logp - ref_logp) ** 2 / 2 * mask).sum() / mask.sum()


def detached_weight_on_k2(logp: Tensor, old_logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    weight = (logp - old_logp).exp().detach()
    return beta * (weight * (logp - ref_logp) ** 2 / 2 * mask).sum() / mask.sum()


def alpha_divergence(logp: Tensor, ref_logp: Tensor) -> Tensor:
    return torch.expm1(1.7 * (logp - ref_logp)) - 1.7 * logp  # coefficient 1.7 (u^1.7 - 1), which grows


def clipped_ratio_k3(logp: Tensor, old_logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    d = ref_logp - logp
    return beta * ((logp - old_logp).exp().clamp(0.8, 1.2) * (d.exp() - 1 - d) * mask).sum() / mask.sum()


@pytest.mark.parametrize(
    ("subject", "placement", "outcome"),
    [
        (k2, "reward", "fail/warning"),
        (k3, "reward", "fail/warning"),
        (live_weight_on_k2, "loss", "fail/warning"),
        (k1, "reward", "pass"),
        (k2, "loss", "pass"),
        (k3, "loss", "pass"),
        (detached_weight_on_k2, "loss", "pass"),
        (alpha_divergence, "loss", "pass"),
        (k1, "loss", "skip"),
    ],
    ids=lambda f: getattr(f, "__name__", f),
)
def test_on_policy(subject: Loss, placement: str, outcome: str) -> None:
    assert verdict_of("expected_gradient.on_policy", subject, placement) == outcome


def test_where_the_coefficient_falls_is_an_interval() -> None:
    # 1 + L is the slope of L + L^2/2: it falls below -1
    found = ask("expected_gradient.on_policy", live_weight_on_k2)
    assert isinstance(found.intervals, list)
    ((low, high),) = found.intervals
    assert low is None
    assert high == pytest.approx(-1, abs=0.05)
    assert "falls for L < -1" in found.message
    assert found.theorems == ["convexity.criterion"]


@pytest.mark.parametrize(
    ("subject", "outcome"),
    [
        (detached_weight_on_k2, "pass"),
        (clipped_ratio_k3, "pass"),
        (live_weight_on_k2, "skip"),
        (k3, "skip"),
    ],
    ids=lambda f: getattr(f, "__name__", f),
)
def test_off_policy(subject: Loss, outcome: str) -> None:
    assert verdict_of("expected_gradient.off_policy", subject) == outcome


def test_a_kl_term_without_the_weight_beside_it_is_a_note() -> None:
    def grpo(logp: Tensor, old_logp: Tensor, ref_logp: Tensor, advantages: Tensor, mask: Tensor, beta: float) -> Tensor:
        pg = -(logp - old_logp).exp() * advantages[:, None]
        return ((pg + beta * k3(logp, ref_logp)) * mask).sum() / mask.sum()

    found = ask("expected_gradient.off_policy", grpo)
    assert (found.outcome, found.severity) == ("fail", "note")
    assert "forward_kl on-policy" in found.message


@pytest.mark.parametrize(
    ("subject", "placement", "outcome"),
    [(k1, "reward", "pass"), (k2, "reward", "fail/note"), (k3, "reward", "fail/note"), (k2, "loss", "skip")],
    ids=lambda f: getattr(f, "__name__", f),
)
def test_whole_answers(subject: Loss, placement: str, outcome: str) -> None:
    assert verdict_of("expected_gradient.sequence", subject, placement) == outcome


def test_a_loss_of_whole_answers() -> None:
    def sequence_k2(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
        return beta * ((logp - ref_logp) * mask).sum(1).square().mean() / 2

    assert verdict_of("expected_gradient.sequence", sequence_k2) == "pass"


def test_a_claim_that_says_so_expects_it() -> None:
    target = Target("k3", k3, None)
    (v,) = judge_binding(target, bind(k3), None, Options(max_examples=1), [parse_claim("k3 in reward")])
    (found,) = (f for f in v.findings if f.check == "expected_gradient.on_policy")
    assert (v.outcome, found.outcome) == ("conforms", "expected-fail")
    for text, holds in (("k1 in reward", False), ("k2 as loss", False), ("k2 as loss, weight differentiated", True)):
        assert (parse_claim(text).implies_failure("expected_gradient.on_policy") is not None) == holds
