"""Functions that take log(policy/reference) or policy/sampler itself are judged as those that make it themselves.

Expected objectives from theory 2 and 5: k1, k2, k3 by their coefficients; a differentiated policy/sampler restores the
on-policy objective of k1, off-policy too; a detached one that of k2.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from inspect import signature

import pytest
import torch
from torch import Tensor

from oracle.case import Options
from oracle.errors import RoleError
from oracle.judge import judge_binding
from oracle.records import Verdict
from oracle.subject.binding import bind
from oracle.subject.roles import Role
from oracle.subject.target import Target
from tests.oracle.judging import accused, said

RKL, FKL = ("reverse_kl", "token", 1.0), ("forward_kl", "token", 1.0)
UNNAMED, ZERO = ("unnamed", None, None), ("zero", None, None)


def k1(log_ratio: Tensor) -> Tensor:
    return log_ratio


def k2(log_ratio: Tensor) -> Tensor:
    return log_ratio.square() / 2


def k3(log_ratio: Tensor) -> Tensor:
    return torch.expm1(-log_ratio) + log_ratio


def k3_detached(log_ratio: Tensor) -> Tensor:
    return k3(log_ratio.detach())


def weighted_k1(logr: Tensor, importance_weights: Tensor) -> Tensor:
    return importance_weights * logr


def weighted_k1_by_log(logr: Tensor, log_importance_ratio: Tensor) -> Tensor:
    return log_importance_ratio.exp() * logr


def weighted_k2(logr: Tensor, importance_weights: Tensor) -> Tensor:
    return importance_weights.detach() * k2(logr)


def weighted_k2_alive(logr: Tensor, importance_weights: Tensor) -> Tensor:
    return importance_weights * k2(logr)  # fault: the weight's own gradient comes on top


def judged(function: Callable[..., Tensor], roles: Sequence[str]) -> Verdict:
    target = Target(function.__name__, function, None)
    return judge_binding(target, bind(function, roles), "loss", Options(max_examples=3))[0]


@pytest.mark.parametrize(
    ("function", "on", "off"),
    [
        (k1, ZERO, UNNAMED),
        (k2, RKL, UNNAMED),
        (k3, FKL, UNNAMED),
        (k3_detached, ZERO, ZERO),
        (weighted_k1, RKL, RKL),
        (weighted_k1_by_log, RKL, RKL),
        (weighted_k2, RKL, RKL),
        (weighted_k2_alive, UNNAMED, UNNAMED),
    ],
)
def test_judged_by_what_they_make_of_it(function: Callable[..., Tensor], on: tuple, off: tuple) -> None:
    verdict = judged(function, [f"{next(iter(signature(function).parameters))}=log_ratio"])
    assert said(verdict.on_policy) == on
    assert said(verdict.off_policy) == off
    assert on not in (RKL, FKL) or not accused(verdict)


def test_the_formula_is_read() -> None:
    verdict = judged(k3, ["log_ratio=log_ratio"])
    assert verdict.on_policy is not None
    assert (verdict.on_policy.formula, verdict.on_policy.evidence) == ("1 - exp(-L)", "proved")


def test_a_log_ratio_is_taken_for_one_only_where_it_is_said() -> None:
    # it might as well be of policy and sampler, or of reference and policy
    with pytest.raises(RoleError, match=r"if log_ratio is log\(policy/reference\) say --role log_ratio=log_ratio"):
        bind(k3)


def test_an_optional_weight_is_left_out() -> None:
    def penalty(logp: Tensor, ref_logp: Tensor, importance_ratio: Tensor | None = None) -> Tensor:
        return (logp - ref_logp) * (1.0 if importance_ratio is None else importance_ratio)

    assert Role.IMPORTANCE_WEIGHT not in bind(penalty).roles
    target = Target("penalty", penalty, None)
    verdict = judge_binding(target, bind(penalty), "loss", Options(max_examples=3))[0]
    assert said(verdict.on_policy) == ZERO


def divergence_of_probabilities(p: Tensor, q: Tensor) -> Tensor:
    return (p * (p / q).log()).sum(-1).mean()


def exchanged(p: Tensor, q: Tensor) -> Tensor:
    return (q * (q / p).log()).sum(-1).mean()


def distilled(logits: Tensor, teacher_probs: Tensor, teacher_log_probs: Tensor) -> Tensor:
    return (teacher_probs * (teacher_log_probs - logits.log_softmax(-1))).sum(-1)


@pytest.mark.parametrize(
    ("function", "roles", "name"),
    [
        (divergence_of_probabilities, ["p=probabilities", "q=reference_probabilities"], "reverse_kl"),
        (exchanged, ["p=probabilities", "q=reference_probabilities"], "forward_kl"),
        (distilled, [], "forward_kl"),
    ],
)
def test_probabilities_of_the_vocabulary(function: Callable[..., Tensor], roles: list[str], name: str) -> None:
    verdict = judged(function, roles)
    assert said(verdict.on_policy) == said(verdict.off_policy) == (name, "token", 1.0)
    assert not accused(verdict)
