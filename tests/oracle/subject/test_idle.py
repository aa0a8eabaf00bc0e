"""A parameter that looks like the KL coefficient and changes nothing: the KL part stands there without it.

k2 has the gradient of KL(policy||reference) at scale 1, whatever an unused parameter is called.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from torch import Tensor

from oracle.case import Options
from oracle.judge import judge_binding
from oracle.records import Verdict
from oracle.subject.binding import bind
from oracle.subject.construct import constructed
from oracle.subject.target import Target
from tests.oracle.judging import accused, finding, is_set, said

RKL, ZERO = ("reverse_kl", "token", 1.0), ("zero", None, None)


def k2(logp: Tensor, ref_logp: Tensor) -> Tensor:
    return 0.5 * (logp - ref_logp) ** 2


def required(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    return (k2(logp, ref_logp) * mask).sum() / mask.sum()  # fault: for beta * the mean


def with_default(logp: Tensor, ref_logp: Tensor, mask: Tensor, kl_coef: float = 0.1) -> Tensor:
    return (k2(logp, ref_logp) * mask).sum() / mask.sum()


def beside_the_policy_gradient(
    logp: Tensor, old_logp: Tensor, ref_logp: Tensor, advantages: Tensor, mask: Tensor, beta: float
) -> Tensor:
    gain = (logp - old_logp).exp() * advantages[:, None]
    return ((k2(logp, ref_logp) - gain) * mask).sum() / mask.sum()


def on_logits(logits: Tensor, ref_logits: Tensor, labels: Tensor, mask: Tensor, beta: float) -> Tensor:
    logp, ref_logp = (x.log_softmax(-1).gather(-1, labels[..., None])[..., 0] for x in (logits, ref_logits))
    return (k2(logp, ref_logp) * mask).sum() / mask.sum()


def penalty(logp: Tensor, ref_logp: Tensor, beta: float = 0.1) -> Tensor:
    return k2(logp, ref_logp)


def multiplied(logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float) -> Tensor:
    return beta * (k2(logp, ref_logp) * mask).sum() / mask.sum()


def forgotten(logp: Tensor, ref_logp: Tensor, advantages: Tensor, mask: Tensor, beta: float) -> Tensor:
    return -(logp * advantages[:, None] * mask).sum() / mask.sum()  # fault: no KL term at all


class Trainer:
    """Scales elsewhere what its method answers."""

    def __init__(self, beta: float = 0.04) -> None:
        self.beta = beta

    def kl_term(self, logps: Tensor, ref_logps: Tensor) -> Tensor:
        """k2 of each token."""
        return k2(logps, ref_logps)


def judged(function: Callable[..., Any]) -> Verdict:
    target = Target("f", function, None)
    return judge_binding(target, bind(function), "loss", Options(max_examples=2))[0]


@pytest.mark.parametrize(
    ("function", "severity"),
    [
        (required, "error"),
        (with_default, "error"),
        (beside_the_policy_gradient, "error"),
        (on_logits, "error"),
        (penalty, "warning"),
    ],
)
def test_what_stands_there_is_named_and_the_coefficient_is_not_linear(
    function: Callable[..., Any], severity: str
) -> None:
    verdict = judged(function)
    assert said(verdict.on_policy) == RKL
    found = finding(verdict, "beta.linearity")
    assert (found.outcome, found.severity) == ("fail", severity)
    assert accused(verdict) == {"beta.linearity"}


def test_a_coefficient_of_the_class_may_be_used_elsewhere() -> None:
    verdict = judged(constructed(Trainer, "Trainer", "kl_term"))
    assert said(verdict.on_policy) == RKL
    assert not accused(verdict)
    assert is_set(verdict.path)
    assert "beta is no coefficient of what is called" in verdict.path


def test_a_coefficient_that_scales_is_one() -> None:
    verdict = judged(multiplied)
    assert said(verdict.on_policy) == RKL
    assert not accused(verdict)
    assert not is_set(verdict.path)


def test_without_a_kl_term_nothing_is_descended() -> None:
    verdict = judged(forgotten)
    assert said(verdict.on_policy) == ZERO
    assert accused(verdict) == {"reference.dependence"}
